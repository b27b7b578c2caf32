"""`task=loop`: from a served champion over drift, labels and the gate to a better champion."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from digits.contract.labelling import LabelStore
from digits.contract.traffic import TrafficStore
from digits.data.source import Source
from digits.deployment.local import Local
from digits.deployment.resolve import aliases_of
from digits.errors import ConfigError, Finding, MissingExtraError
from digits.promotion.champion import CHAMPION
from digits.registry.versions import RegisteredName
from digits.tasks.progress import progress
from digits.tasks.screens.loop import line, report
from digits.tasks.turn import steps
from digits.tasks.turn.commands import Commands
from digits.tasks.turn.plan import Plan
from digits.tasks.turn.state import State, Step, claimed, digest_of
from digits.tasks.turn.turn import Turn
from digits.tasks.typed import data_of, typed
from digits.tracking.faults import explained
from digits.tracking.record import Record
from digits.tracking.run import Run
from digits.tracking.store import Tracking

log = logging.getLogger(__name__)

EXTRAS = {"serve": "uvicorn", "monitor": "evidently", "features": "feast"}
PLAIN_DRIFT = "drift=plain"  # does without Evidently

STEPS: Mapping[str, Callable[[Turn], steps.Facts]] = {
    "champion": steps.crown,
    "serve": steps.serve,
    "before": steps.before,
    "detect": steps.detect,
    "select": steps.select,
    "label": steps.label,
    "push": steps.push,
    "retrain": steps.retrain,
    "judge": steps.judge,
    "canary": steps.canary,
    "promote": steps.promote,
    "after": steps.after,
}


def loop(
    record: Record,
    *,
    plan: Plan,
    source: Source,
    tracking: Tracking,
    traffic_url: str,
    folder: str,
    fresh: bool = False,
    keep_service: bool = False,
    registered_name: RegisteredName = "digits",
) -> float:
    """Play one turn of the loop on this machine and tell it as a timeline.

    Visitors write the digits of the validation split, from which no model learns before they are
    labelled; the gate judges on the test split, which is never served. Every step is a command of
    its own, and noted when it is done: the same command goes on after a kill.

    Args:
        record: the job's folder and configuration.
        plan: how it is played.
        source: the data.
        tracking: where models are registered and the turn is recorded.
        traffic_url: address of the traffic store; best the turn's own, for its traffic is invented.
        folder: what the turn keeps: its state, its service, the folders of its steps.
        fresh: give up a turn that was stopped, and begin a new one.
        keep_service: leave the service running in the end.
        registered_name: the registered model.

    Returns:
        Accuracy on digits under the corruption, in the end.

    Raises:
        ConfigError: it is one of several jobs, or the champion learned from other data.
        MissingExtraError: a step would need what is not installed.
        LoopError: another loop is at work there, a step failed, or no drift was seen.
    """
    if record.job is not None:
        raise ConfigError([Finding("task", "loop has one store and one service: no -m")])
    _check_extras(plan)
    _check_champion(tracking, registered_name, source.name)
    place = Path(folder).expanduser().absolute()
    with claimed(place, traffic_url):
        state = State.of(place, digest_of(record), fresh=fresh)
        data = source.load()
        turn = Turn(
            plan=plan,
            state=state,
            commands=Commands(
                record,
                shared={
                    "data": data_of(record, source.name),
                    "registry": [f"registry.name={registered_name}"],
                    "traffic": [f"traffic.url={typed(traffic_url)}"],
                    "features": [f"features.root={typed(place / 'features')}"],
                    "serving": [f"serving.traffic.url={typed(traffic_url)}"],
                },
                folder=state.steps_folder,
                more=plan.more,
            ),
            digits=data.validation,
            source=source.name,
            traffic_url=traffic_url,
            store=TrafficStore(traffic_url),
            labels=LabelStore(traffic_url),
            tracking=tracking,
            name=registered_name,
            service=Local(folder=str(place / "service")),
            seed=record.seed,
        )
        with _run(tracking, record, state) as run:
            try:
                _play(turn)
            finally:
                if not keep_service and turn.service.destroy():
                    log.info("The service has been ended.")
                if not state.has("after"):
                    log.info("Stopped after %s; the same command goes on.", state.last())
            return report(turn, record, run)


def _check_extras(plan: Plan) -> None:
    """Look for what later steps need, before the first has worked for minutes."""
    for extra, module in EXTRAS.items():
        if extra == "monitor" and PLAIN_DRIFT in plan.more.get("drift", ()):
            continue
        if find_spec(module) is None:
            raise MissingExtraError(extra, module)


def _check_champion(tracking: Tracking, name: str, data: str) -> None:
    """Refuse a champion that reads other digits than those that visitors write."""
    client = tracking.client()
    number = (aliases_of(client, name) or {}).get(CHAMPION)
    if number is None:
        return
    with explained(client.tracking_uri):
        learned = client.get_model_version(name, str(number)).tags.get("data_name")
    if learned != data:
        message = (
            f"{name}/{number} learned from {learned}, the visitors of this loop write {data}: "
            f"choose another registry.name"
        )
        raise ConfigError([Finding("registry.name", message)])


@contextmanager
def _run(tracking: Tracking, record: Record, state: State) -> Iterator[Run]:
    """Open the run of the turn, a new one or the one that it was begun with."""
    if state.run_id is not None:
        with tracking.reopen(state.run_id) as run:
            yield run
        return
    with tracking.start(record) as run:
        run.log_record(record)
        state.run_id = run.id
        state.write()
        yield run


def _play(turn: Turn) -> None:
    """Do the steps that are not done, and note each."""
    state = turn.state
    if state.steps:
        sys.stdout.write(f"Going on after {state.last()}: {state.folder}\n")
        if not state.has("after"):
            steps.serve(turn)  # it may have ended meanwhile
    with progress(len(STEPS)) as step:
        for name, play in STEPS.items():
            if not state.has(name) and steps.wanted(state, name):
                began = time.time()
                facts = play(turn)
                state.add(Step(name, began, time.time(), facts))
                sys.stdout.write(f"{line(state.steps[-1])}\n")
                sys.stdout.flush()
            step(name)
