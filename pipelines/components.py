"""The steps as Kubeflow sees them: what goes in and comes out, each a call of its namesake.

Kubeflow copies the text of each function into the pipeline and runs it in the project's image, so
a function stands alone: it may use nothing of this module but :func:`project`, which goes along.
What one step hands to the next is a parameter wherever it can be: the local cache takes an artifact
for the same while it has the same address, whatever its content.
"""

# No `from __future__ import annotations`: Kubeflow reads the types themselves.

from typing import Any

from kfp.dsl import (
    HTML,
    Artifact,
    ClassificationMetrics,
    Dataset,
    Input,
    Markdown,
    Metrics,
    Model,
    Output,
    PipelineTaskFinalStatus,
)


def project() -> Any:
    """Return the module that does the work, or end with what is wrong with the image."""
    import sys

    try:
        from pipelines import steps
    except ImportError as error:
        sys.exit(
            f"The image lacks the project ({error}). Make one with docker/Dockerfile.train and "
            f"name it: pipeline.image=..."
        )
    return steps


def drift(place: dict[str, Any], own: list[str]) -> str:
    """Hold served traffic against the reference: drift, none or unknown."""
    steps = project()
    return steps.drift(steps.Command(place, own))


def data(place: dict[str, Any], own: list[str], dataset: Output[Dataset]) -> str:
    """Keep the data in its three stages; returns the digest of what is learned from."""
    steps = project()
    return steps.data(steps.Command(place, own, names=False), dataset)


def features(
    place: dict[str, Any], own: list[str], digest: str, store: str, known: Output[Artifact]
) -> str:
    """Fill the feature store; returns the time that a training is to learn as of."""
    steps = project()
    command = steps.Command(place, [f"features={store}", *own], digest=digest)
    return steps.features(command, known)


def search(
    place: dict[str, Any],
    own: list[str],
    train: list[str],
    digest: str,
    store: str,
    as_of: str,
    tuner: str,
    leaderboard: Output[Artifact],
) -> str:
    """Look for the best configuration; returns it as YAML."""
    steps = project()
    more = [*steps.learned(store, as_of), f"tuner={tuner}", *train, *own]
    return steps.search(steps.Command(place, more, digest=digest), leaderboard)


def train(
    place: dict[str, Any],
    own: list[str],
    digest: str,
    store: str,
    as_of: str,
    best: str,
    model: Output[Model],
    metrics: Output[Metrics],
) -> str:
    """Train, test, export and register; returns the number of the version."""
    steps = project()
    command = steps.Command(place, [*steps.learned(store, as_of), *own], digest=digest)
    return steps.train(command, model, metrics, code=place["code"], best=best)


def evaluate(
    place: dict[str, Any],
    own: list[str],
    digest: str,
    version: str,
    metrics: Output[Metrics],
    confusion: Output[ClassificationMetrics],
    page: Output[HTML],
) -> float:
    """Judge the version on held-out data; returns its accuracy in 0..1."""
    steps = project()
    command = steps.Command(place, [f"version={version}", *own], digest=digest)
    return steps.evaluate(command, metrics, confusion, page)


def gate(
    place: dict[str, Any],
    own: list[str],
    digest: str,
    version: str,
    evidence: Output[HTML],
    verdict: Output[Artifact],
    metrics: Output[Metrics],
) -> str:
    """Ask the gate, which records its decision; returns passed or rejected."""
    steps = project()
    command = steps.Command(place, [f"version={version}", *own], digest=digest)
    return steps.gate(command, version, evidence, verdict, metrics)


def promote(
    place: dict[str, Any],
    own: list[str],
    gate: list[str],
    digest: str,
    version: str,
    card: Output[Markdown],
) -> str:
    """Let the gate judge again and move the alias champion; returns the number of the version."""
    steps = project()
    command = steps.Command(place, [f"version={version}", *gate, *own], digest=digest)
    steps.promote(command, card)
    return version


def reject(version: str, verdict: Input[Artifact], reasons: Output[Markdown]) -> None:
    """Say why nothing is promoted and nothing deployed."""
    project().reject(version, verdict, reasons)


def deploy(place: dict[str, Any], own: list[str], target: str, version: str) -> None:
    """Put the champion where it serves; refuses a version that the gate has not promoted."""
    steps = project()
    steps.deploy(steps.Command(place, [f"deployment={target}", *own], reads=False), version)


def report(
    place: dict[str, Any], status: PipelineTaskFinalStatus, report: Output[Markdown]
) -> None:
    """Say how the pipeline ended; runs however that was."""
    steps = project()
    command = steps.Command(place, [], reads=False)
    steps.report(command, status.state, status.error_message, report)
