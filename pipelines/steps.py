"""What a step does in its process: one command of ``run.py``, and its files as artifacts.

Imported by the components of :mod:`pipelines.components`, in the project's image or on this
machine; without Kubeflow's libraries, whose artifacts are handed in.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Protocol

from pipelines.command import Command, quoted

REJECTED = 12  # exit code of a model that the gate turns away
DRIFT, UNKNOWN = 10, 11
ANY = range(256)
BEST = "best.yaml"
SHOWN = (".yaml", ".json", ".md", ".csv", ".png")


class Artifact(Protocol):
    """What is used of Kubeflow's artifacts."""

    path: str
    metadata: dict[str, Any]


class Metrics(Artifact, Protocol):
    """Numbers that the interface shows."""

    def log_metric(self, metric: str, value: float) -> None:
        """Keep one of them."""


class Confusion(Artifact, Protocol):
    """A matrix that the interface draws."""

    def log_confusion_matrix(self, categories: list[str], matrix: list[list[int]]) -> None:
        """Keep it."""


def drift(command: Command) -> str:
    """Hold the traffic against the reference: ``drift``, ``none``, or ``unknown``."""
    code, _ = command("drift", "drift.fail=true", allowed=(0, DRIFT, UNKNOWN))
    return {0: "none", DRIFT: "drift", UNKNOWN: "unknown"}[code]


def data(command: Command, dataset: Artifact) -> str:
    """Keep the data as versions; return the digest of what is learned from."""
    _, folder = command("data")
    versions = _read(folder / "versions.json")
    (found,) = [each for each in versions if each["stage"] == "preprocessed"]
    _copy(folder / "versions.json", dataset)
    kept = ("digest", "name", "description", "shapes", "run_id")
    dataset.metadata.update({key: found[key] for key in kept})
    return str(found["digest"])


def features(command: Command, feature_set: Artifact) -> str:
    """Bring data, and what was served and labelled, into the feature store; return as of when."""
    command("features", "action=ingest")
    _, folder = command("features", "action=push")
    known = _read(folder / "features.json")
    _copy(folder / "features.json", feature_set)
    feature_set.metadata.update(known)
    return str(known["as_of"])


def learned(store: str, as_of: str) -> list[str]:
    """Return the overrides of a training that learns what a feature store knows."""
    return [f"features={store}", f"features.as_of={quoted(as_of)}"] if as_of else []


def search(command: Command, leaderboard: Artifact, *more: str) -> str:
    """Search; keep what a person wants to see of it; return what ``experiment=best`` needs."""
    _, folder = command("train", *more, sweep=True)
    target = Path(leaderboard.path)
    target.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():  # the trials themselves stay in their folders
        if file.is_file() and file.suffix in SHOWN:
            shutil.copy(file, target)
    return (folder / BEST).read_text(encoding="utf-8")


def train(
    command: Command, model: Artifact, metrics: Metrics, *more: str, code: str, best: str
) -> str:
    """Train, or take what the same training has registered; return the version's number."""
    found = []
    if best:  # it stays there: the run says that it began at it
        sweep = command.root / "pipelines" / "searched" / hashlib.sha256(best.encode()).hexdigest()
        sweep.mkdir(parents=True, exist_ok=True)
        (sweep / BEST).write_text(best, encoding="utf-8")
        found = ["experiment=best", f"sweep={quoted(sweep)}"]
    _, folder = command("train", *more, *found, f"once={quoted(code)}")
    version = _read(folder / "version.json")
    shutil.copytree(folder / "bundle", model.path, dirs_exist_ok=True)
    model.metadata.update({"framework": "onnx", **version})
    _log(metrics, _read(folder / "metrics.json"))
    return str(version["number"])


def evaluate(command: Command, metrics: Metrics, confusion: Confusion, page: Artifact) -> float:
    """Judge the version; return its accuracy in 0..1."""
    _, folder = command("evaluate")
    found = _read(folder / "metrics.json")
    _log(metrics, found)
    report = _read(folder / "evaluation" / "report.json")
    _write(confusion, report["confusion"])
    confusion.log_confusion_matrix([str(digit) for digit in range(10)], report["confusion"])
    _copy(folder / "evaluation" / "report.html", page)
    return float(found["test/accuracy"])


def gate(
    command: Command, version: str, evidence: Artifact, verdict: Artifact, metrics: Metrics
) -> str:
    """Ask the gate; return ``passed`` or ``rejected``. It records its decision itself."""
    code, folder = command("promote", "action=judge", allowed=(0, REJECTED))
    if (folder / "promotion").is_dir():
        _copy(folder / "promotion" / "evidence.html", evidence)
        _copy(folder / "promotion" / "evidence.json", verdict)
        _log(metrics, _read(folder / "metrics.json"))
    else:
        told = {"reasons": [], "note": "It is the champion already."}
        Path(verdict.path).write_text(json.dumps(told), encoding="utf-8")
        Path(evidence.path).write_text(f"<p>{told['note']}</p>", encoding="utf-8")
    decision = "rejected" if code == REJECTED else "passed"
    page = str(folder / "promotion" / "evidence.html")
    verdict.metadata.update({"version": version, "decision": decision, "page": page})
    return decision


def reject(version: str, verdict: Artifact, reasons: Artifact) -> None:
    """Say why nothing is promoted and nothing deployed; the gate has recorded it."""
    told = _read(Path(verdict.path))["reasons"]
    lines = [f"# Version {version} is not promoted, and nothing is deployed", ""]
    text = "\n".join([*lines, *(f"- {reason}" for reason in told), ""])
    Path(reasons.path).write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def promote(command: Command, card: Artifact) -> None:
    """Let the gate judge once more, and move the alias champion."""
    _, folder = command("promote")
    file = folder / "promotion" / "model_card.md"
    if file.is_file():
        _copy(file, card)
    else:
        Path(card.path).write_text("It was the champion already.\n", encoding="utf-8")


def deploy(command: Command, version: str) -> None:
    """Put the champion where it serves; the task itself refuses what was not promoted."""
    command("deploy", "action=apply", "version=champion", f"promoted={version}")


def report(command: Command, state: str, error: str | None, report: Artifact) -> None:
    """Say how the pipeline ended, and what is known of the newest model; always."""
    lines = [f"# The pipeline ended: {state}", ""]
    if error:
        lines += [f"Error: {error}", ""]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        code, _ = command("lineage", allowed=ANY, output=output)
        output.seek(0)
        tree = output.read().strip()
    if code:
        lines += [f"No model is on record: task=lineage ended with exit code {code}.", ""]
    else:
        lines += ["What is on record of the newest model:", "", "```", tree, "```", ""]
    text = "\n".join(lines)
    Path(report.path).write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _write(artifact: Artifact, content: Any) -> None:
    # The local cache takes a result for lost where the file of one artifact is not there.
    Path(artifact.path).write_text(json.dumps(content), encoding="utf-8")


def _copy(file: Path, artifact: Artifact) -> None:
    Path(artifact.path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, artifact.path)


def _log(metrics: Metrics, found: dict[str, Any]) -> None:
    _write(metrics, found)
    for name, value in found.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            metrics.log_metric(name, float(value))
