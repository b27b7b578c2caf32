"""How far attribution maps can be trusted: one set of figures per method, and two controls."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite, nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from digits.contract.files import write_atomically
from digits.data.types import Split
from digits.evaluation.attribution_figures import removal_curves
from digits.evaluation.classify import Classify, torch_classifier
from digits.evaluation.explainers import Explainer, frozen
from digits.evaluation.removal import Curves, Removals, curves
from digits.evaluation.sanity import similarity, untrained_maps

log = logging.getLogger(__name__)

RADIUS = 0.02 * 255  # grey levels that a pixel is changed by at the most
PERTURBATIONS = 5

CURVES, QUALITY = "curves.png", "quality.json"
#: what every method is compared with: noise, and the image itself
RANDOM, INK = "random", "ink"


@dataclass(frozen=True)
class Quality:
    """Figures of one method over the judged images; NaN where one does not apply.

    Attributes:
        deletion, insertion: areas of :class:`Curves`; low and high are good.
        infidelity: of :meth:`Removals.infidelity`; 0 is best, 1 says nothing.
        max_sensitivity: mean over the images of the largest relative change of the map (L2) when
            every pixel changes by up to 2 % of the grey levels (Yeh et al. 2019, eq. 5); low is
            good.
        completeness_gap: how far the sums of the maps are from what they should be, the difference
            of the logit to that of the blank page; relative, of means.
        similarity: of :func:`similarity`, to the maps of networks with random weights, over all
            pixels; low is sane.
        similarity_on_ink: the same over the pixels that have ink.
        zero: share of the maps that are all zero.
        seconds: of explaining, per 1,000 images.
    """

    deletion: float
    insertion: float
    infidelity: float
    max_sensitivity: float = nan
    completeness_gap: float = nan
    similarity: float = nan
    similarity_on_ink: float = nan
    zero: float = nan
    seconds: float = nan

    def metrics(self) -> dict[str, float]:
        """Return the figures that apply, by name."""
        return {name: value for name, value in asdict(self).items() if isfinite(value)}


@dataclass(frozen=True)
class Judged:
    """What judging came to.

    Attributes:
        qualities: method or control -> figures.
        curves: method or control -> deletion and insertion.
        count: digits that were judged on.
    """

    qualities: Mapping[str, Quality]
    curves: Mapping[str, Curves]
    count: int

    def metrics(self) -> dict[str, float]:
        """Return every figure under one name, ``explain/<method>/<figure>``."""
        return {
            f"explain/{name}/{figure}": value
            for name, quality in self.qualities.items()
            for figure, value in quality.metrics().items()
        }

    def save(self, folder: Path) -> None:
        """Write the curves as PNG and the figures as JSON."""
        removal_curves(self.curves, (RANDOM, INK), folder / CURVES)
        facts = {name: quality.metrics() for name, quality in self.qualities.items()}
        text = json.dumps({"digits": self.count, "methods": facts}, indent=2, allow_nan=False)
        write_atomically(folder / QUALITY, text + "\n")


def sample(digits: Split, count: int, *, seed: int) -> Split:
    """Draw ``count`` of the digits, or all if there are fewer, in their order."""
    count = min(count, len(digits))
    drawn = np.random.default_rng(seed).choice(len(digits), count, replace=False)
    return digits.take(np.sort(drawn))


def judge(
    network: nn.Module,
    explainers: Mapping[str, Explainer],
    images: NDArray[np.uint8],
    targets: NDArray[np.int64],
    *,
    seed: int,
) -> Judged:
    """Judge every method, and the controls ``random`` and ``ink``, on the same images.

    Args:
        network: pixels -> logits.
        explainers: named methods.
        images: uint8 ``[N, 28, 28]``, N at least 1.
        targets: the classes that are explained, int64 ``[N]``.
        seed: of everything that is drawn.

    Raises:
        ExplanationError: a method does not suit the network.
    """
    network = frozen(network)
    classify = torch_classifier(network)
    removals = Removals.draw(classify, images, targets, seed=seed)
    qualities, drawn = {}, {}
    for name, explainer in explainers.items():
        begin = time.perf_counter()
        maps = explainer(network, images, targets)
        seconds = time.perf_counter() - begin
        others = untrained_maps(network, images, targets, seed=seed, explain=explainer)
        drawn[name] = curves(classify, images, targets, maps, seed=seed)
        qualities[name] = Quality(
            deletion=drawn[name].deletion_area,
            insertion=drawn[name].insertion_area,
            infidelity=removals.infidelity(
                maps, multiplies_by_inputs=explainer.multiplies_by_inputs
            ),
            max_sensitivity=max_sensitivity(explainer, network, images, targets, maps, seed=seed),
            completeness_gap=completeness_gap(classify, images, targets, maps)
            if explainer.is_complete
            else nan,
            similarity=similarity(maps, others),
            similarity_on_ink=similarity(maps, others, images > 0),
            zero=float((~maps.any((1, 2))).mean()),
            seconds=1000 * seconds / len(images),
        )
        log.info("Judged %s on %d digits (%.0f s).", name, len(images), time.perf_counter() - begin)
    for name, maps in _controls(images, seed).items():
        drawn[name] = curves(classify, images, targets, maps, seed=seed)
        qualities[name] = Quality(
            deletion=drawn[name].deletion_area,
            insertion=drawn[name].insertion_area,
            infidelity=removals.infidelity(maps, multiplies_by_inputs=True),
        )
    return Judged(qualities, drawn, len(images))


def _controls(images: NDArray[np.uint8], seed: int) -> dict[str, NDArray[np.float32]]:
    """Return maps that know nothing of the network."""
    noise = np.random.default_rng(seed).standard_normal(images.shape, np.float32)
    return {RANDOM: noise, INK: images.astype(np.float32)}


def max_sensitivity(
    explainer: Explainer,
    network: nn.Module,
    images: NDArray[np.uint8],
    targets: NDArray[np.int64],
    maps: NDArray[np.float32],
    *,
    seed: int,
    perturbations: int = PERTURBATIONS,
) -> float:
    """Return the mean largest relative change of ``maps``; NaN where all of them are zero.

    Maps that are all zero have no relative change and are left out.
    """
    random = np.random.default_rng(seed)
    norms = np.linalg.norm(maps, axis=(1, 2))
    worst = np.zeros(len(images))
    for _ in range(perturbations):
        change = random.uniform(-RADIUS, RADIUS, images.shape).astype(np.float32)
        moved = explainer(network, images + change, targets) - maps
        worst = np.maximum(worst, np.linalg.norm(moved, axis=(1, 2)))
    return float((worst[norms > 0] / norms[norms > 0]).mean()) if norms.any() else nan


def completeness_gap(
    classify: Classify,
    images: NDArray[np.uint8],
    targets: NDArray[np.int64],
    maps: NDArray[np.float32],
) -> float:
    """Return mean ``|sum of map - (f(x) - f(blank))|`` over mean ``|f(x) - f(blank)|``.

    NaN where no logit differs from that of the blank page.
    """
    blank = classify(np.zeros_like(images[:1]))[0]
    due = classify(images)[np.arange(len(images)), targets] - blank[targets]
    missed = np.abs(maps.sum((1, 2)) - due).mean()
    return float(missed / np.abs(due).mean()) if due.any() else nan
