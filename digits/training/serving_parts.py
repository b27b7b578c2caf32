"""Make what a bundle carries for serving besides the model: explanations, neighbours, a dry run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from digits.contract.manifest import ANSWER, GRADIENT, NEIGHBOURS, DryRun
from digits.data.types import CLASSES, Digits, Split
from digits.models.classifier import DigitClassifier
from digits.models.embedding import Axes
from digits.models.features import with_features
from digits.registry.bundle import Parts
from digits.training.export import for_inference
from digits.training.fit import answers
from digits.training.gradient import check_gradient, gradient_to_onnx
from digits.training.novelty import answer_to_onnx

NEIGHBOURS_EACH = 100  # of each class
EMBEDDING = 64  # axes; a thousand digits take 250 kB
CHECKED = 20  # digits that the gradient is held against torch on


def serving_parts(
    classifier: DigitClassifier, data: Digits, *, temperature: float | None, folder: Path
) -> Parts:
    """Write the optional files of a bundle to ``folder``.

    Args:
        classifier: trained.
        data: neighbours are of its training split; abstention and the dry run take a validation
            split, and are lacking where that is empty.
        temperature: of the calibration.
        folder: is there.

    Raises:
        ExportError: a graph is not what the network computes.
    """
    known = _balanced(data.train)
    files = _explaining(classifier, known, folder)
    if not len(data.validation):
        return Parts(files)
    answer = folder / ANSWER
    abstention = answer_to_onnx(
        classifier.network,
        classifier.standard,
        data,
        temperature=temperature or 1.0,
        file=answer,
    )
    return Parts([answer, *files], abstention, _dry_run(classifier, data.validation))


def _balanced(train: Split) -> Split:
    """Draw up to 100 digits of each class, the same ones every time."""
    random = np.random.default_rng(0)
    order = random.permutation(len(train))
    chosen = [order[train.labels[order] == label][:NEIGHBOURS_EACH] for label in range(CLASSES)]
    return train.take(np.concatenate(chosen))


def _explaining(classifier: DigitClassifier, known: Split, folder: Path) -> list[Path]:
    """Write the gradient graph, which also embeds; and training digits with their embeddings."""
    standard, network = classifier.standard, classifier.network
    model = for_inference(network, mean=standard.mean, std=standard.std)
    with torch.inference_mode():
        features = with_features(model, torch.from_numpy(known.images))[1]
    axes = Axes.of(features.numpy(), EMBEDDING)
    graph, neighbours = folder / GRADIENT, folder / NEIGHBOURS
    gradient_to_onnx(network, mean=standard.mean, std=standard.std, axes=axes, file=graph)
    check_gradient(
        network,
        mean=standard.mean,
        std=standard.std,
        images=known.images[:: max(1, len(known) // CHECKED)],
        file=graph,
    )
    with neighbours.open("wb") as stream:
        np.savez_compressed(
            stream,
            allow_pickle=False,
            images=known.images,
            labels=known.labels,
            embeddings=axes.project(features).numpy(),
        )
    return [graph, neighbours]


def _dry_run(classifier: DigitClassifier, validation: Split) -> DryRun | None:
    """Choose the digit that the model is surest of among those that it answers rightly."""
    logits = answers(classifier, validation.images)
    margins = np.where(logits.argmax(axis=1) == validation.labels, _margins(logits), -np.inf)
    surest = int(margins.argmax())
    if not np.isfinite(margins[surest]):
        return None
    return DryRun.of(validation.images[surest], int(validation.labels[surest]))


def _margins(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    second, first = np.partition(logits, -2, axis=1)[:, -2:].T
    margins: NDArray[np.float32] = first - second
    return margins
