"""What each step of the loop does, and what it leaves for the timeline."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from digits.deployment.resolve import aliases_of
from digits.errors import DriftError, LoopError, RegistryError, RejectedError
from digits.promotion import champion
from digits.registry.versions import CHALLENGER
from digits.tasks.invocation import answering
from digits.tasks.turn.commands import metrics_of
from digits.tasks.turn.labellers import ask_oracle, wait_for_people
from digits.tasks.turn.state import State
from digits.tasks.turn.turn import Turn
from digits.tasks.turn.visitors import accuracy, is_worse, wait_for
from digits.tasks.typed import typed

Facts = Mapping[str, Any]
REJECTED = RejectedError.exit_code
DRIFT = DriftError.exit_code
VERDICT = "drift.json"

WATCH_SECONDS = 0.5
SWAP_SECONDS = 30.0
LOOK_SECONDS = 0.05
STORES = ("data", "registry", "traffic", "features")
BEFORE, UNDER, CANARY, AFTER = "before", "under", "canary", "after"


def crown(turn: Turn) -> Facts:
    """Have a champion: the one there is, or a first one."""
    if (number := _champion(turn)) is None:
        turn.commands("train_first", "train", needs=("data", "registry"))
        turn.commands("promote_first", "promote", needs=("data", "registry"))
        number = _champion(turn)
    return {"version": f"{turn.name}/{number}"}


def _challenger(turn: Turn) -> str:
    aliases = aliases_of(turn.tracking.client(), turn.name) or {}
    return f"{turn.name}/{aliases[CHALLENGER]}"


def _champion(turn: Turn) -> int | None:
    try:
        return champion.pair(turn.tracking.client(), turn.name).champion
    except RegistryError:  # nothing has been registered yet
        return None


def serve(turn: Turn) -> Facts:
    """Have the service run, also one that was left by a loop that was killed."""
    turn.commands(
        "serve",
        "deploy",
        "action=apply",
        f"deployment.folder={typed(turn.service.folder)}",
        f"watch_seconds={WATCH_SECONDS}",
        "serving.port=0",
        "serving.challenger.mode=canary",
        f"serving.challenger.percent={turn.plan.canary_percent}",
        needs=("registry", "serving"),
    )
    address = turn.service.state().address
    return {"address": address, "version": answering(address)}


def visit(turn: Turn, phase: str, count: int, *, shifted: bool) -> Facts:
    """Send digits, and say how many were read right; none of them has been labelled."""
    known = turn.labelled()
    sent = turn.visitors().send(phase, count, shifted=shifted, without=known)
    found = wait_for(turn.store, turn.visitors_name, phase, sent.requests - sent.failed)
    right = accuracy(found, turn.digits.labels)
    versions = sorted({each.version for each in found})
    return {
        "requests": sent.requests,
        "failed": sent.failed,
        "accuracy": right,
        "versions": versions,
    }


def before(turn: Turn) -> Facts:
    """Have clean digits read, and look for drift where there is none."""
    facts = visit(turn, BEFORE, turn.plan.requests, shifted=False)
    return {**facts, **_drift(turn, BEFORE, turn.plan.requests)}


def detect(turn: Turn) -> Facts:
    """Let the corruption set in, and look for drift again and again until it is seen.

    Raises:
        LoopError: it is not seen.
    """
    requests = failed = 0
    for look in range(1, turn.plan.patience + 1):
        sent = visit(turn, f"{UNDER}{look}", turn.plan.window, shifted=True)
        requests, failed = requests + sent["requests"], failed + sent["failed"]
        seen = _drift(turn, f"{UNDER}{look}", turn.plan.window)
        if seen["drift"]:
            found = [each for each in turn.visits() if each.phase.startswith(UNDER)]
            right = accuracy(found, turn.digits.labels)
            sent = {"requests": requests, "failed": failed, "accuracy": right}
            return {**sent, "shift": turn.plan.shift, **seen}
    raise LoopError(
        f"No drift is seen after {requests} digits under {turn.plan.shift}: this model withstands "
        f"it; try another loop.shift, with fresh=true"
    )


def _drift(turn: Turn, place: str, last: int) -> Facts:
    code, folder = turn.commands(
        "drift",
        "drift",
        f"last={last}",
        "drift.fail=true",
        needs=("data", "registry", "traffic"),
        place=f"drift-{place}",
        allowed=(0, DRIFT),
    )
    told = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
    now = told["accuracy"]
    return {"drift": code == DRIFT, "estimate": now["estimate"], "interval": now["interval"]}


def select(turn: Turn) -> Facts:
    """Choose what is worth a label, of what came since the corruption set in."""
    under = [each for each in turn.visits() if each.phase.startswith(UNDER)]
    mine = {each.id for each in under}
    if not mine & turn.labels.samples():  # else they were queued before a kill, all at once
        turn.commands(
            "select",
            "select",
            f"count={turn.plan.labels}",
            f"since={min(each.time for each in under)}",
            *(["controls=0"] if turn.plan.labelled_by == "oracle" else []),
            needs=("data", "registry", "traffic"),
        )
    return {"queued": len(mine & turn.labels.samples())}


def label(turn: Turn) -> Facts:
    """Have the queue labelled through the service, by the oracle or by people on the page."""
    address = turn.service.state().address
    truth = {each.id: int(turn.digits.labels[each.index]) for each in turn.visits()}
    if turn.plan.labelled_by == "page":
        wait_for_people(turn.labels, address)
    else:
        ask_oracle(turn.labels, address, truth)
    spent = sum(each.sample in truth for each in turn.labels.confirmed())
    return {"labels": spent, "by": turn.plan.labelled_by}


def push(turn: Turn) -> Facts:
    """Bring the data, and what was served and labelled, into the feature store."""
    turn.commands("ingest", "features", "action=ingest", needs=STORES)
    turn.commands("push", "features", "action=push", needs=STORES)
    return {}


def retrain(turn: Turn) -> Facts:
    """Train on the data and on what was labelled."""
    _, folder = turn.commands(
        "retrain",
        "train",
        "features=local",
        f"features.repeat={turn.plan.repeat}",
        needs=("data", "registry", "features"),
    )
    return {"test_accuracy": metrics_of(folder)["test/accuracy"], "version": _challenger(turn)}


def judge(turn: Turn) -> Facts:
    """Let the gate say what it thinks of the new model."""
    code, _ = turn.commands(
        "judge", "promote", "action=judge", needs=("data", "registry"), allowed=(0, REJECTED)
    )
    return {"passed": code == 0}


def canary(turn: Turn) -> Facts:
    """Let the new model answer a share of the requests, and compare."""
    new = turn.state.facts("retrain")["version"]
    _until(lambda: turn.service.pointer().challenger is not None, "the canary does not come")
    facts = visit(turn, CANARY, turn.plan.canary, shifted=True)
    found = [each for each in turn.visits() if each.phase == CANARY]
    by = {
        version: accuracy([each for each in found if each.version == version], turn.digits.labels)
        for version in facts["versions"]
    }
    theirs = [each for each in found if each.version == new]
    others = [each for each in found if each.version != new]
    good = bool(theirs) and not is_worse(theirs, others, turn.digits.labels)
    return {**facts, "accuracies": by, "good": good}


def promote(turn: Turn) -> Facts:
    """Make the new model champion, and wait until it answers everybody."""
    turn.commands("promote", "promote", needs=("data", "registry"))
    new = turn.state.facts("retrain")["version"]
    address = turn.service.state().address
    if not answering(address, new, wait=SWAP_SECONDS):
        raise LoopError(f"The service does not take over {new}: see {turn.service.log}")
    return {"version": new}


def after(turn: Turn) -> Facts:
    """See whether it reads better; take it back if it reads worse."""
    facts = visit(turn, AFTER, turn.plan.requests, shifted=True)
    if not turn.state.has("promote"):
        return {**facts, "outcome": "kept"}
    new = turn.state.facts("promote")["version"]
    then = [each for each in turn.visits() if each.phase.startswith(UNDER)]
    now = [each for each in turn.visits() if each.phase == AFTER and each.version == new]
    if is_worse(now, then, turn.digits.labels):
        if new == f"{turn.name}/{_champion(turn)}":  # else it was taken back before a kill
            turn.commands("rollback", "promote", "action=rollback", needs=("registry",))
        return {**facts, "outcome": "rolled back"}
    outcome = "recovered" if is_worse(then, now, turn.digits.labels) else "no better"
    return {**facts, **_drift(turn, AFTER, turn.plan.requests), "outcome": outcome}


def wanted(state: State, name: str) -> bool:
    """Tell whether a step is still to be done, after what came of those before it."""
    if name in ("canary", "promote") and not state.facts("judge")["passed"]:
        return False
    return name != "promote" or bool(state.facts("canary")["good"])


def _until(condition: Callable[[], bool], complaint: str) -> None:
    end = time.monotonic() + SWAP_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise LoopError(complaint)
        time.sleep(LOOK_SECONDS)
