"""`task=promote`: the gate decides on a challenger; `action=rollback` takes a promotion back.

With `action=judge` the gate says what it would decide, and nothing is moved.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from mlflow import MlflowClient

from digits.data.source import Source
from digits.errors import RegistryError, RejectedError
from digits.promotion import champion
from digits.promotion.gate import Gate
from digits.registry.find import Model, find_model
from digits.registry.versions import RegisteredName
from digits.tasks import commands
from digits.tracking.record import Record
from digits.tracking.store import Tracking


def promote(
    record: Record,
    *,
    action: Literal["promote", "judge", "rollback"],
    version: str | int,
    source: Source,
    gate: Gate,
    tracking: Tracking,
    cache: str,
    registered_name: RegisteredName = "digits",
) -> float | None:
    """Judge a version and make it champion if it passes; or let champion and previous change.

    What a killed promotion has left is finished first.

    Args:
        record: the job's folder and configuration.
        action: promote; judge, which leaves the aliases alone; or rollback, which needs no data and
            loads no torch.
        version: who wants to be champion: alias, number, run id, run folder or bundle folder.
        source: the data; challenger and champion are judged on its test split.
        gate: the limits.
        tracking: where the models are registered and the decision is recorded.
        cache: folder that bundles are fetched to.
        registered_name: the registered model.

    Returns:
        Accuracy of the challenger; None where nothing had to be judged.

    Raises:
        RejectedError: the gate has turned the version away.
        RegistryError: no such version, a damaged one, nothing to go back to, or another promotion
            that does not come to an end.
        DataError: the data cannot be read, or nothing can be judged on it.
    """
    client = tracking.client()
    champion.settle(client, registered_name)
    if action == "rollback":
        _rollback(client, registered_name)
        return None
    folder = Path(cache).expanduser()
    challenger = _registered(client, str(version), registered_name, folder)
    assert challenger.version is not None
    if champion.pair(client, registered_name).champion == challenger.version.number:
        sys.stdout.write(f"{challenger} is the champion already: there is nothing to promote.\n")
        return None
    from digits.tasks.promotion import Promotion, show  # what judging needs, rollback does not

    promotion = Promotion(record, source.load(), gate, challenger, registered_name, folder)
    with record.claimed(), tracking.start(record) as run:
        run.log_record(record)
        outcome = promotion.decide(run, moves=action == "promote")
    if record.job is None:
        show(outcome)
    if not outcome.case.verdict.passed:
        reasons = "; ".join(outcome.case.verdict.reasons)
        told = "is not" if action == "promote" else "would not be"
        raise RejectedError(f"Rejected: {challenger} {told} promoted: {reasons}")
    return float(outcome.case.challenger.measured.report().accuracy)


def _registered(client: MlflowClient, wanted: str, name: str, cache: Path) -> Model:
    model = find_model(client, wanted, name=name, cache=cache)
    if model.version is None:
        raise RegistryError(
            f"version: {model} is not registered as a version of {name}: only a registered one "
            f"can be promoted"
        )
    return model


def _rollback(client: MlflowClient, name: str) -> None:
    pair = champion.rollback(client, name)
    sys.stdout.write(
        f"{name} version {pair.champion} is the champion again; version {pair.previous}, which "
        f"was, is kept as previous.\nAnd back: {commands.run('task=promote', 'action=rollback')}\n"
    )
