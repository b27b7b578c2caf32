"""Which model was evaluated on which data, and what has to be known of the two together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from digits.contract.manifest import ONNX
from digits.data.types import Digits
from digits.evaluation.evaluation import Evaluation

if TYPE_CHECKING:
    from digits.registry.find import Model


@dataclass(frozen=True)
class Subject:
    """What was evaluated, on what.

    Attributes:
        model: its name and version, or its folder.
        run_id: the run that trained it.
        created: when, ISO 8601.
        learned_from, learned_digest: the data that it learned from.
        onnx_sha256: digest of the exported graph.
        onnx_bytes: size of that file.
        parameters: number of trained weights.
        data, data_digest, data_description: what it was evaluated on.
        notes: what a reader has to know about the figures, one sentence each.
        command: what makes this evaluation again.
    """

    model: str
    run_id: str
    created: str
    learned_from: str
    learned_digest: str
    onnx_sha256: str
    onnx_bytes: int
    parameters: int
    data: str
    data_digest: str
    data_description: str
    notes: Sequence[str]
    command: str


def describe(model: Model, data: Digits, *, notes: Sequence[str], command: str) -> Subject:
    """Say what was evaluated; ``notes`` and ``command`` as in :class:`Subject`."""
    manifest = model.manifest
    return Subject(
        model=str(model),
        run_id=manifest.run_id,
        created=manifest.created.isoformat(timespec="seconds"),
        learned_from=manifest.data_name,
        learned_digest=manifest.data_digest,
        onnx_sha256=manifest.files[ONNX],
        onnx_bytes=(model.folder / ONNX).stat().st_size,
        parameters=manifest.parameters,
        data=data.name,
        data_digest=data.digest,
        data_description=data.description,
        notes=notes,
        command=command,
    )


def cautions(model: Model, data: Digits, evaluation: Evaluation) -> list[str]:
    """Say what a reader of the figures has to know, one sentence each."""
    notes = []
    manifest = model.manifest
    if manifest.temperature is None:
        notes.append(
            "The bundle has no temperature: one was fitted on this data's validation split."
            if evaluation.fitted
            else "The bundle has no temperature, and this data has no validation split to fit "
            "one on: nothing is calibrated."
        )
    if data.digest != manifest.data_digest and data.name == manifest.data_name:
        notes.append(
            f"This is not the version of {data.name} that the model learned from: digits that it "
            f"was trained on may be among those that it is judged on."
        )
    elif data.digest != manifest.data_digest:
        notes.append(f"The model learned from {manifest.data_name}, not from {data.name}.")
    occurring = sum(score.count > 0 for score in evaluation.classes)
    if occurring < len(evaluation.classes):
        notes.append(
            f"Only {occurring} of the ten digits occur in this data: the figures say nothing of "
            f"the others."
        )
    agreement = evaluation.agreement
    if agreement is not None and not agreement.is_one_model:
        notes.append(
            f"The runtimes differ by up to {agreement.largest_difference:.1g} in their logits, and "
            f"name another digit on {agreement.disagreements} of {agreement.count:,} images: the "
            f"exported graph is not the trained network."
        )
    return notes
