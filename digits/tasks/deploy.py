"""`task=deploy`: put the service somewhere, look after it, take it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from digits.contract.pointer import Pointer
from digits.deployment.ledger import Release
from digits.deployment.releases import tag_release, untag_release
from digits.deployment.target import Order, Step, Target
from digits.errors import ConfigError, DeploymentError, Finding, TrackingError
from digits.promotion import champion
from digits.promotion.promoted import assert_promoted
from digits.registry.versions import RegisteredName, Version
from digits.tasks import commands
from digits.tasks.invocation import answering, drawn, sample
from digits.tasks.screens import screen
from digits.tasks.service import Wanted, next_commands, rows, same
from digits.tracking.record import Record
from digits.tracking.store import Tracking
from serving.settings import Settings

Action = Literal["plan", "apply", "status", "invoke", "rollback", "destroy"]
SWAP_SECONDS = 30.0  # beyond the watcher's own interval
HTTP_ERROR = 400
HERE = ("local", "docker", "torchserve")  # have the address and the processes of the settings


def deploy(
    record: Record,
    *,
    action: Action,
    deployment: Target,
    version: str | int,
    serving: Callable[..., Settings],
    tracking: Tracking,
    cache: str,
    registered_name: RegisteredName = "digits",
    watch_seconds: Annotated[float, Field(gt=0, le=1e6)] = 5.0,
    promoted: Annotated[int, Field(ge=1)] | None = None,
) -> None:
    """Do one thing with a deployment and show how it stands.

    Args:
        record: the job's folder and configuration.
        action: plan says what apply would do; apply does it; status, invoke (one digit); rollback
            goes back to the version before: where the target follows the champion, champion and
            previous change places and it is waited until the service has followed; destroy ends
            and removes it.
        deployment: where.
        version: alias, number, run id, run folder or bundle folder; an alias is followed.
        serving: makes the settings from pointer and deployment.
        tracking: where the models are registered.
        cache: folder that bundles are fetched to.
        registered_name: the registered model.
        watch_seconds: between two looks at the registry.
        promoted: number of a version that has to have passed the gate, and to be the champion.

    Raises:
        ConfigError: the address cannot be had.
        RejectedError: the version that has to be promoted is not.
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
    if promoted is not None:
        assert_promoted(tracking.client(), Version(registered_name, promoted))
    ACTIONS[action](deployment, wanted, _Again(record))


class _Again:
    """Commands of this task, with what was typed for it."""

    def __init__(self, record: Record) -> None:
        self._typed = [each for each in record.overrides if _key(each) not in ("task", "action")]

    def __call__(self, action: Action) -> str:
        # What to run counts for apply only; where it runs counts for all.
        of_apply = ("serving", "version", "watch_seconds", "promoted")
        typed = [each for each in self._typed if action == "apply" or _key(each) not in of_apply]
        return commands.run("task=deploy", f"action={action}", *typed)


def _key(override: str) -> str:
    return override.split("=", 1)[0].lstrip("+~").split(".")[0]


def _order(target: Target, wanted: Wanted) -> Order:
    settings = wanted.settings(target.folder, target.kind)
    watch = wanted.watch(settings)
    return Order(settings, watch, wanted.found(watch))


def _plan(target: Target, wanted: Wanted, again: _Again) -> None:
    order = _order(target, wanted)
    address = f"http://{order.settings.host}:{order.settings.port or '<any free port>'}"
    is_local = target.kind == "local"
    facts = rows(order.settings, order.pointer, address if is_local else target.kind)
    if not is_local:  # others keep predictions in a place of their own, or not at all
        facts = [each for each in facts if each[0] != "traffic"]
    if target.kind not in HERE:
        facts = [each for each in facts if each[0] not in ("address", "workers")]
    found = [*_told("would", target.plan(order)), *facts, ("folder", str(target.folder))]
    screen.show(found, [(again("apply"), "do it")])


def _apply(target: Target, wanted: Wanted, again: _Again) -> None:
    order = _order(target, wanted)
    steps = target.apply(order)
    _tag(target, wanted)
    _show(target, wanted, again, *_told("done", steps))


def _status(target: Target, wanted: Wanted, again: _Again) -> None:
    _show(target, wanted, again)


def _invoke(target: Target, wanted: Wanted, again: _Again) -> None:
    pixels, label = sample(_out(target).model.folder)
    answer = target.ask(pixels.tobytes(), "application/octet-stream")
    if answer.status >= HTTP_ERROR:
        raise DeploymentError(f"{target.kind} answers {answer.status}: {answer.content}")
    said = answer.content
    found = [
        ("digit", str(said["digit"]) + (f" (it is a {label})" if label is not None else "")),
        ("confidence", f"{said['confidence']:.2%}"),
        ("model", str(said["version"])),
        ("time", f"{1000 * answer.seconds:.1f} ms"),
        ("prediction", f"{said['id']} ({said['stored']})"),
    ]
    store = [value for name, value in target.status().rows if name == "traffic"]
    lineage = commands.run("task=lineage", f"of={said['id']}", *store, *wanted.same)
    kept = [] if said["stored"] == "off" else [(lineage, "where this answer comes from")]
    screen.standard_output().print(drawn(pixels), highlight=False)
    screen.show(found, [*kept, (again("status"), "how it stands")])


def _rollback(target: Target, wanted: Wanted, again: _Again) -> None:
    if not (target.follows and _out(target).model.alias == champion.CHAMPION):
        steps = target.rollback()
        _tag(target, wanted)
        _show(target, wanted, again, *_told("done", steps))
        return
    if (out := _out(target).model).name != wanted.name:
        message = f"{out.version} is deployed in {target.folder}: type registry.name={out.name}"
        raise ConfigError([Finding("registry.name", message)])
    address = target.status().address
    pair = champion.rollback(wanted.tracking.client(), wanted.name)
    version = f"{wanted.name}/{pair.champion}"
    told = f"{version} is the champion again"
    if not answering(address, version, wait=wanted.watch_seconds + SWAP_SECONDS):
        told += "; the service has not taken it over yet, see its log"
    _show(target, wanted, again, ("done", told))


def _destroy(target: Target, wanted: Wanted, again: _Again) -> None:
    release = target.ledger.current
    told = _told("done", target.destroy()) or [("done", "there was nothing")]
    if release is not None:
        try:
            untag_release(wanted.tracking.client(), target.kind, release)
        except TrackingError as error:  # what is deployed can be ended without a registry
            told.append(("registry", f"{release.model.version} keeps its tag: {error}"))
    screen.show(told, [(again("apply"), "start it again")])


def _tag(target: Target, wanted: Wanted) -> None:
    client, address, ledger = wanted.tracking.client(), target.status().address, target.ledger
    tag_release(client, target.kind, address, out=_out(target), before=ledger.previous)


def _out(target: Target) -> Release:
    release = target.ledger.current
    if release is None:
        raise DeploymentError(f"Nothing is deployed in {target.folder}: action=apply does it")
    return release


def _told(name: str, steps: Sequence[Step]) -> list[tuple[str, str]]:
    said = [
        f"{each.change} {each.what}{': ' if each.detail else ''}{each.detail}" for each in steps
    ]
    return [(name if number == 0 else "", each) for number, each in enumerate(said)]


def _show(target: Target, wanted: Wanted, again: _Again, *first: tuple[str, str]) -> None:
    status, release = target.status(), _out(target)
    facts = [
        ("address", status.address),
        ("model", status.version),
        ("deployed", f"{release.model.version} at {release.time:%Y-%m-%d %H:%M:%S} UTC"),
        *status.rows,
    ]
    more = [
        (again("invoke"), "ask it once"),
        (again("rollback"), "back to the version before"),
        (again("destroy"), "end it"),
    ]
    if target.kind == "local":
        more = next_commands(Pointer(champion=release.model), status.address, wanted, *more)
    screen.show([*first, *facts], more)


ACTIONS: dict[Action, Callable[[Target, Wanted, _Again], None]] = {
    "plan": _plan,
    "apply": _apply,
    "status": _status,
    "invoke": _invoke,
    "rollback": _rollback,
    "destroy": _destroy,
}
