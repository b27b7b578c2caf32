"""`task=evaluate`: everything that is known of a trained model on one data set."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from digits.contract.files import write_atomically
from digits.contract.manifest import CONFIG, ONNX
from digits.data.source import Source
from digits.data.types import Digits
from digits.evaluation import classification_report as evidently_page
from digits.evaluation import figures
from digits.evaluation.classify import Classify, onnx_classifier, torch_classifier
from digits.evaluation.document import document, metrics
from digits.evaluation.evaluation import Evaluation, evaluate_classifiers, steps
from digits.evaluation.evaluation_figures import draw
from digits.evaluation.page import page
from digits.evaluation.subject import Subject, cautions, describe
from digits.registry.find import Model, find_model
from digits.registry.versions import RegisteredName, tag
from digits.tasks import commands
from digits.tasks.progress import progress
from digits.tasks.screens.evaluation import EvaluationSummary
from digits.tasks.screens.screen import show
from digits.tracking.record import Record
from digits.tracking.run import Run
from digits.tracking.store import Tracking

log = logging.getLogger(__name__)

PAGE, REPORT, EVIDENTLY = "report.html", "report.json", "evidently.html"
FOLDER = "evaluation"


def evaluate(
    record: Record,
    *,
    version: str | int,
    source: Source,
    tracking: Tracking,
    cache: str,
    registered_name: RegisteredName = "digits",
    runtime: Literal["onnx", "torch", "both"] = "both",
    classification_report: bool = True,
) -> float:
    """Judge a model on the test split, draw, write the page, track; return its accuracy.

    Args:
        record: the job's folder and configuration.
        version: alias, number, run id, run folder or bundle folder.
        source: the data; its test split is judged.
        tracking: where the model is registered and the evaluation is recorded.
        cache: folder that bundles are fetched to.
        registered_name: the registered model.
        runtime: what computes the answers; with both, figures are of ONNX and the two compared.
        classification_report: whether Evidently writes its page too.

    Raises:
        MissingExtraError: Evidently is wanted and not installed.
        RegistryError: there is no such model, it is damaged, or too old for torch.
        DataError: the data cannot be read, or its test split is empty.
    """
    if classification_report:
        evidently_page.require(without="classification_report=false")
    model = find_model(
        tracking.client(), str(version), name=registered_name, cache=Path(cache).expanduser()
    )
    data = source.load()
    with record.claimed(), tracking.start(record) as run:
        run.log_record(record)
        summary = _run(record, run, model, data, runtime, with_evidently=classification_report)
    if record.job is None:
        show(summary.rows(), summary.next_commands())
    else:
        accuracy = summary.evaluation.first.report.accuracy
        log.info("Job %d: %s: %.2f%%, %s", record.job, model, 100 * accuracy, summary.page)
    return summary.evaluation.first.report.accuracy


def _run(
    record: Record, run: Run, model: Model, data: Digits, runtime: str, *, with_evidently: bool
) -> EvaluationSummary:
    """Do all that happens inside the tracked run."""
    run.log_dataset(
        data.name, digest=data.digest, description=data.description, context="evaluation"
    )
    run.set_tags(model.tags)
    classifiers, notes = _classifiers(model, runtime)
    temperature = model.manifest.temperature
    with progress(steps(classifiers)) as step:
        evaluation = evaluate_classifiers(
            classifiers, data, temperature=temperature, seed=record.seed, step=step
        )
    folder = record.folder / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    notes += cautions(model, data, evaluation)
    if with_evidently:
        notes += _write_evidently(folder / EVIDENTLY, evaluation, seed=record.seed)
    for note in notes:
        log.warning(note)
    command = commands.run(*record.overrides)
    subject = describe(model, data, notes=notes, command=command)
    _write(folder, subject, evaluation, seed=record.seed)
    numbers = metrics(subject, evaluation)
    write_atomically(record.metrics_file, json.dumps(numbers, indent=2) + "\n")
    run.log_folder(folder, FOLDER)
    run.log_metrics(numbers)
    _mark(run, model, data, numbers)
    return EvaluationSummary(
        subject=subject,
        evaluation=evaluation,
        page=folder / PAGE,
        evidently=folder / EVIDENTLY if (folder / EVIDENTLY).exists() else None,
        run_id=run.id,
        version=str(model.version.number if model.version else model.folder),
        same=commands.same(record, data.name),
    )


def _classifiers(model: Model, runtime: str) -> tuple[dict[str, Classify], list[str]]:
    """Load what is to be evaluated; also return what has to be said of it."""
    classifiers: dict[str, Classify] = {}
    notes = []
    if runtime != "torch":
        classifiers["onnx"] = onnx_classifier(model.folder / ONNX)
    if runtime == "both" and CONFIG not in model.manifest.files:
        notes.append(f"torch is left out: the bundle is of an older version without {CONFIG}.")
    elif runtime != "onnx":
        from digits.tasks.trained import trained_network  # torch only where it is wanted

        network = trained_network(model.folder, model.manifest)
        classifiers["torch"] = torch_classifier(network)
    return classifiers, notes


def _write_evidently(file: Path, evaluation: Evaluation, *, seed: int) -> list[str]:
    """Write Evidently's page, or return why there is none."""
    labels = evaluation.test.labels
    missing = evidently_page.missing_classes(labels)
    if missing:
        named = ", ".join(map(str, missing))
        return [f"Evidently's report is left out: these digits do not occur: {named}."]
    evidently_page.write_classification_report(labels, evaluation.probabilities, file, seed=seed)
    return []


def _write(folder: Path, subject: Subject, evaluation: Evaluation, *, seed: int) -> None:
    """Draw the pictures and write the page and the report."""
    pictures = draw(evaluation, folder / "figures", seed=seed)
    figures.worst_mistakes(
        evaluation.test.images,
        evaluation.test.labels,
        evaluation.probabilities,
        folder / "figures" / "worst_mistakes.png",
    )
    facts = document(subject, evaluation)
    text = json.dumps(facts, indent=2, allow_nan=False, ensure_ascii=False)
    write_atomically(folder / REPORT, text + "\n")
    write_atomically(folder / PAGE, page(facts, evaluation, pictures))


def _mark(run: Run, model: Model, data: Digits, numbers: Mapping[str, float]) -> None:
    """Let the registered version say how it was evaluated on this data, and in which run."""
    if model.version is None:
        return
    marks = {
        "run_id": run.id,
        "data_digest": data.digest,
        **{
            name: f"{numbers[key]:.6f}"
            for name, key in (
                ("accuracy", "test/accuracy"),
                ("calibration_error", "test/calibrated_calibration_error"),
                ("robustness_mean", "robustness/mean"),
                ("robustness_worst", "robustness/worst"),
                ("stability", "stability/one_pixel"),
            )
        },
    }
    prefix = f"evaluation.{data.name}"
    tag(run.client, model.version, {f"{prefix}.{name}": value for name, value in marks.items()})
