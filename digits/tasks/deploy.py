"""`task=deploy`: put the service somewhere, look after it, take it back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from digits.deployment.local import Change, Local, Order
from digits.promotion import champion
from digits.registry.versions import RegisteredName
from digits.tasks import commands, screen
from digits.tasks.invocation import answering, drawn, invoke, sample
from digits.tasks.service import Wanted, next_commands, rows, same
from digits.tracking.record import Record
from digits.tracking.store import Tracking
from serving.settings import Settings

Action = Literal["plan", "apply", "status", "invoke", "rollback", "destroy"]
SWAP_SECONDS = 30.0  # beyond the watcher's own interval

PLANS: dict[Change, str] = {
    "start": "start the service",
    "restart": "end the service that runs, let its requests finish, and start it with new settings",
    "version": "change the model under the service that runs; no request notices",
    "none": "nothing: it runs as ordered",
}
DONE: dict[Change, str] = {
    "start": "started",
    "restart": "started anew with new settings",
    "version": "the model was changed while it ran",
    "none": "ran already, as ordered",
}


def deploy(
    record: Record,
    *,
    action: Action,
    deployment: Local,
    version: str | int,
    serving: Callable[..., Settings],
    tracking: Tracking,
    cache: str,
    registered_name: RegisteredName = "digits",
    watch_seconds: Annotated[float, Field(gt=0, le=1e6)] = 5.0,
) -> None:
    """Do one thing with a deployment and show how it stands.

    Args:
        record: the job's folder and configuration.
        action: plan says what apply would do; apply does it; status, invoke (one digit); rollback
            lets champion and previous change places, and waits until the service has followed;
            destroy ends and removes it.
        deployment: where.
        version: alias, number, run id, run folder or bundle folder; an alias is followed.
        serving: makes the settings from pointer and deployment.
        tracking: where the models are registered.
        cache: folder that bundles are fetched to.
        registered_name: the registered model.
        watch_seconds: between two looks at the registry.

    Raises:
        ConfigError: the address cannot be had.
        DeploymentError: it is not there, does not start, or is changed by somebody else.
        RegistryError: there is no such model, it cannot be trusted, or nothing to go back to.
        TrackingError: the registry does not answer.
    """
    wanted = Wanted(
        version=str(version),
        serving=serving,
        tracking=tracking,
        cache=Path(cache),
        name=registered_name,
        watch_seconds=watch_seconds,
        same=same(record),
    )
    ACTIONS[action](deployment, wanted, _Again(record))


class _Again:
    """Commands of this task, with what was typed for it."""

    def __init__(self, record: Record) -> None:
        self._typed = [each for each in record.overrides if _key(each) not in ("task", "action")]

    def __call__(self, action: Action) -> str:
        # What to run counts for apply only; where it runs counts for all.
        of_apply = ("serving", "version", "watch_seconds")
        typed = [each for each in self._typed if action == "apply" or _key(each) not in of_apply]
        return commands.run("task=deploy", f"action={action}", *typed)


def _key(override: str) -> str:
    return override.split("=", 1)[0].lstrip("+~").split(".")[0]


def _order(target: Local, wanted: Wanted) -> Order:
    settings = wanted.settings(target.folder, target.kind)
    watch = wanted.watch(settings)
    return Order(settings, watch, wanted.found(watch))


def _plan(target: Local, wanted: Wanted, again: _Again) -> None:
    order = _order(target, wanted)
    address = f"http://{order.settings.host}:{order.settings.port or '<any free port>'}"
    facts = rows(order.settings, order.pointer, address)
    change = target.plan(order)
    screen.show(
        [("would", PLANS[change]), *facts, ("folder", str(target.folder))],
        [(again("apply"), "do it")],
    )


def _apply(target: Local, wanted: Wanted, again: _Again) -> None:
    order = _order(target, wanted)
    _show(target, wanted, again, ("done", DONE[target.apply(order)]))


def _status(target: Local, wanted: Wanted, again: _Again) -> None:
    state = target.state()
    since = f"{state.started:%Y-%m-%d %H:%M:%S} UTC" if state.started else "it is starting"
    answers = answering(state.address) if state.started else "not yet"
    _show(
        target, wanted, again, ("answers", answers), ("since", since), ("process", str(state.pid))
    )


def _invoke(target: Local, wanted: Wanted, again: _Again) -> None:
    state, pointer = target.state(), target.pointer()
    pixels, label = sample(pointer.champion.folder)
    answer, seconds = invoke(state.address, pixels)
    found = [
        ("digit", str(answer["digit"]) + (f" (it is a {label})" if label is not None else "")),
        ("confidence", f"{answer['confidence']:.2%}"),
        ("model", str(answer["version"])),
        ("time", f"{1000 * seconds:.1f} ms"),
        ("prediction", f"{answer['id']} ({answer['stored']})"),
    ]
    lineage = commands.run("task=lineage", f"of={answer['id']}", *wanted.same)
    kept = [] if answer["stored"] == "off" else [(lineage, "where this answer comes from")]
    screen.standard_output().print(drawn(pixels), highlight=False)
    screen.show(found, [*kept, (again("status"), "how it stands")])


def _rollback(target: Local, wanted: Wanted, again: _Again) -> None:
    state = target.state()
    pair = champion.rollback(wanted.tracking.client(), wanted.name)
    version = f"{wanted.name}/{pair.champion}"
    told = f"{version} is the champion again"
    served = target.pointer().champion
    if served.alias != champion.CHAMPION:
        told += f"; the service does not follow it: {served.version} was asked for by name"
    elif not answering(state.address, version, wait=wanted.watch_seconds + SWAP_SECONDS):
        told += f"; the service has not taken it over yet, see {target.log}"
    _show(target, wanted, again, ("done", told))


def _destroy(target: Local, wanted: Wanted, again: _Again) -> None:
    was_there = target.destroy()
    told = "ended and removed; traffic and models are kept" if was_there else "there was nothing"
    screen.show([("done", told)], [(again("apply"), "start it again")])


def _show(target: Local, wanted: Wanted, again: _Again, *first: tuple[str, str]) -> None:
    state, pointer = target.state(), target.pointer()
    more = (
        (again("invoke"), "ask it once"),
        (again("rollback"), "back to the previous champion"),
        (again("destroy"), "end it"),
    )
    screen.show(
        [*first, *rows(target.settings(), pointer, state.address), ("log", str(target.log))],
        next_commands(pointer, state.address, wanted, *more),
    )


ACTIONS: dict[Action, Callable[[Local, Wanted, _Again], None]] = {
    "plan": _plan,
    "apply": _apply,
    "status": _status,
    "invoke": _invoke,
    "rollback": _rollback,
    "destroy": _destroy,
}
