"""What follows a fit: test once, draw, export, store; all but the registered version."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from digits.contract.files import write_atomically
from digits.contract.manifest import ONNX, Manifest
from digits.data.types import Digits, Split
from digits.evaluation import figures
from digits.evaluation.calibration import fit_temperature
from digits.evaluation.metrics import Report, report
from digits.models.classifier import DigitClassifier
from digits.registry.bundle import Origin, write_bundle
from digits.registry.versions import BUNDLE
from digits.tracking.environment import DEVICE_TAG
from digits.tracking.record import Record
from digits.tracking.run import Run
from digits.training.export import Parity, check_parity, onnx_answers, to_onnx
from digits.training.fit import Fitted, answers
from digits.training.serving_parts import serving_parts

EXAMPLES = 2  # images in a version's input example


@dataclass(frozen=True)
class Finished:
    """What a training has come to, everything stored with its run."""

    fitted: Fitted
    report: Report
    manifest: Manifest
    parity: Parity
    data: Digits
    pictures: Path


def finish(
    classifier: DigitClassifier, data: Digits, fitted: Fitted, record: Record, run: Run
) -> Finished:
    """Judge the trained classifier on the test split, and store all there is with the run.

    Raises:
        ExportError: the exported graph answers otherwise than the network.
        TrackingError: the store cannot be written.
    """
    run.set_tags({DEVICE_TAG: fitted.device})
    logits = answers(classifier, data.test.images)
    judged = report(logits, data.test.labels)
    pictures = _draw(record.folder / "figures", fitted, judged, logits=logits, data=data)
    manifest, parity = _bundle(
        record,
        classifier,
        logits,
        data=data,
        judged=judged,
        run_id=run.id,
    )
    metrics = _final_metrics(fitted, judged, parity)
    if manifest.temperature is not None:
        metrics["calibration/temperature"] = manifest.temperature
    write_atomically(record.metrics_file, json.dumps(metrics, indent=2) + "\n")
    run.log_folder(pictures, "figures")
    run.log_folder(record.folder / BUNDLE, BUNDLE)
    if fitted.checkpoint is not None:
        run.log_file(fitted.checkpoint, "checkpoints")
    run.log_metrics(metrics, step=len(fitted.epochs))
    return Finished(fitted, judged, manifest, parity, data, pictures)


def _draw(
    folder: Path, fitted: Fitted, judged: Report, *, logits: NDArray[np.float32], data: Digits
) -> Path:
    """Draw curves, confusion matrix and worst mistakes into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    title = f"{data.name}: {judged.accuracy:.2%} of {judged.count:,} held-out digits"
    figures.curves(fitted.epochs, folder / "curves.png")
    figures.confusion_matrix(judged.confusion, folder / "confusion_matrix.png", title=title)
    figures.worst_mistakes(
        data.test.images,
        data.test.labels,
        softmax(logits, axis=1),
        folder / "worst_mistakes.png",
    )
    return folder


def _bundle(
    record: Record,
    classifier: DigitClassifier,
    logits: NDArray[np.float32],
    *,
    data: Digits,
    judged: Report,
    run_id: str,
) -> tuple[Manifest, Parity]:
    """Export, prove the graph on the held-out split, and put the bundle together."""
    standard = classifier.standard
    with tempfile.TemporaryDirectory() as scratch:
        graph = Path(scratch) / ONNX
        to_onnx(classifier.network, mean=standard.mean, std=standard.std, file=graph)
        parity = check_parity(logits, onnx_answers(graph, data.test.images))
        temperature = _temperature(classifier, data.validation)
        manifest = write_bundle(
            record.folder / BUNDLE,
            network=classifier.network,
            graph=graph,
            config=record.config_file,
            example=data.test.images[:EXAMPLES],
            preprocessing=standard,
            origin=Origin(run_id, data.name, data.digest, judged.metrics("test")),
            temperature=temperature,
            parts=serving_parts(classifier, data, temperature=temperature, folder=Path(scratch)),
        )
    return manifest, parity


def _temperature(classifier: DigitClassifier, validation: Split) -> float | None:
    """Calibrate on the validation split, never on the test; without one the bundle has none."""
    if not len(validation):
        return None
    return fit_temperature(answers(classifier, validation.images), validation.labels)


def _final_metrics(fitted: Fitted, judged: Report, parity: Parity) -> dict[str, float]:
    """What is known once everything is done."""
    return {
        **judged.metrics("test"),
        "fit/seconds": fitted.seconds,
        "fit/waiting_share": fitted.waiting,
        "onnx/largest_difference": parity.largest_difference,
        "onnx/disagreements": parity.disagreements,
    }
