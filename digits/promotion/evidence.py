"""Why the gate decided as it did, as plain data: what ``evidence.json`` holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.contract.manifest import ONNX, Manifest
from digits.data.types import Digits
from digits.evaluation.latency import machine
from digits.evaluation.metrics import per_class
from digits.promotion.gate import Verdict
from digits.promotion.measured import Measured
from digits.registry.versions import PASSED

SCHEMA_VERSION = 1
NO_CHAMPION = "There is no champion yet: only the limits that stand by themselves apply."
MOST_DIGITS = 24  # pictures of digits that one model alone reads right


@dataclass(frozen=True)
class Judged:
    """A model before the gate.

    Attributes:
        name: as it is called.
        number: its version.
        manifest: what its bundle says of itself.
        measured: what the gate has found.
    """

    name: str
    number: int
    manifest: Manifest
    measured: Measured


@dataclass(frozen=True)
class Case:
    """Everything a decision stands on.

    Attributes:
        challenger: who wants to be champion.
        champion: who is; None: nobody yet.
        data: what both were judged on.
        verdict: criterion by criterion.
        limits: the gate's configuration.
        command: what makes this decision again.
        commit: of the code that made it.
        run_id: of the run that it is kept with.
    """

    challenger: Judged
    champion: Judged | None
    data: Digits
    verdict: Verdict
    limits: Mapping[str, Any]
    command: str
    commit: str
    run_id: str

    @property
    def models(self) -> list[Judged]:
        """The challenger, and the champion if there is one."""
        return [self.challenger, *([self.champion] if self.champion else [])]

    def notes(self) -> list[str]:
        """Say what a reader of the figures has to know."""
        notes = [note for model in self.models for note in _of_data(model, self.data)]
        missing = sorted(set(range(10)) - set(np.unique(self.data.test.labels).tolist()))
        if missing:
            named = ", ".join(map(str, missing))
            notes.append(f"The figures say nothing of these digits, which do not occur: {named}.")
        notes += [
            f"{model.name} brings no temperature: its confidence is judged as it was trained."
            for model in self.models
            if model.manifest.temperature is None
        ]
        if self.champion is None:
            notes.append(NO_CHAMPION)
        return notes

    def gained(self) -> NDArray[np.intp]:
        """Return the indices of the digits that only the challenger reads right."""
        return self._alone(self.challenger, self.champion)

    def lost(self) -> NDArray[np.intp]:
        """Return the indices of the digits that only the champion reads right."""
        return self._alone(self.champion, self.challenger)

    @staticmethod
    def _alone(right: Judged | None, wrong: Judged | None) -> NDArray[np.intp]:
        if right is None or wrong is None:
            return np.zeros(0, np.intp)
        return np.flatnonzero(right.measured.correct & ~wrong.measured.correct)


def _of_data(model: Judged, data: Digits) -> list[str]:
    manifest = model.manifest
    if manifest.data_digest == data.digest:
        return []
    if manifest.data_name != data.name:
        return [f"{model.name} learned from {manifest.data_name}, not from {data.name}."]
    return [
        f"{model.name} learned from another version of {data.name} "
        f"({manifest.data_digest[:12]}, judged on {data.digest[:12]}): it may have been trained on "
        f"digits that it is judged on."
    ]


def document(case: Case) -> dict[str, Any]:
    """Return the evidence as dicts, lists, text and numbers; what is not known is None.

    Shares are in 0..1, times in seconds.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "decision": PASSED if case.verdict.passed else "rejected",
        "reasons": case.verdict.reasons,
        "decided": datetime.now(UTC).isoformat(timespec="seconds"),
        "challenger": _model(case.challenger),
        "champion": _model(case.champion) if case.champion else None,
        "data": {
            "name": case.data.name,
            "digest": case.data.digest,
            "description": case.data.description,
            "count": len(case.data.test),
        },
        "criteria": [asdict(criterion) for criterion in case.verdict.criteria],
        "mcnemar": asdict(case.verdict.mcnemar) if case.verdict.mcnemar else None,
        "gained": _digits(case, case.gained()),
        "lost": _digits(case, case.lost()),
        "notes": case.notes(),
        "limits": dict(case.limits),
        "machine": machine(),
        "command": case.command,
        "commit": case.commit,
        "run_id": case.run_id,
    }


def metrics(case: Case) -> dict[str, float]:
    """Return the scalars as they are tracked."""
    numbers: dict[str, float] = {"gate/passed": float(case.verdict.passed)}
    for criterion in case.verdict.criteria:
        key = criterion.name.replace(" ", "_")
        if criterion.value is not None:
            numbers[f"gate/{key}"] = criterion.value
        if criterion.champion is not None:
            numbers[f"gate/champion_{key}"] = criterion.champion
    if case.verdict.mcnemar is not None:
        numbers["gate/mcnemar_p"] = case.verdict.mcnemar.p_value
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _model(model: Judged) -> dict[str, Any]:
    measured, manifest = model.measured, model.manifest
    report = measured.report()
    return {
        "name": model.name,
        "version": model.number,
        "run_id": manifest.run_id,
        "created": manifest.created.isoformat(timespec="seconds"),
        "onnx_sha256": manifest.files[ONNX],
        "parameters": manifest.parameters,
        "onnx_bytes": measured.onnx_bytes,
        "learned_from": manifest.data_name,
        "learned_digest": manifest.data_digest,
        "temperature": manifest.temperature,
        "accuracy": report.accuracy,
        "accuracy_low": report.low,
        "accuracy_high": report.high,
        "macro_f1": report.macro_f1,
        "loss": report.loss,
        "calibration_error": report.calibration_error,
        "classes": [asdict(score) for score in per_class(report.confusion)],
        "robustness": measured.robustness,
        "seconds": measured.seconds,
        "explanation_similarity": measured.sanity,
    }


def _digits(case: Case, indices: Sequence[int] | NDArray[np.intp]) -> list[dict[str, Any]]:
    """List digits that the two read differently, those named with most confidence first."""
    if case.champion is None:
        return []
    ours, theirs = case.challenger.measured, case.champion.measured
    confidence = np.maximum(ours.probabilities.max(1), theirs.probabilities.max(1))
    ranked = sorted((int(index) for index in indices), key=lambda index: -confidence[index])
    return [
        {
            "index": index,
            "truth": int(ours.labels[index]),
            "challenger": int(ours.answers[index]),
            "champion": int(theirs.answers[index]),
        }
        for index in ranked
    ]
