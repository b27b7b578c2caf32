"""The batched transforms agree with the Albumentations originals in distribution."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digits.data.batched import Affine, BatchTransform, CoarseDropout, Elastic
from tests.unit.samples import lopsided_digit

DRAWS = 3000

AFFINE: dict[str, Any] = {
    "scale": (0.85, 1.1),
    "rotate": (-5.0, 20.0),
    "shear": {"x": (5.0, 15.0), "y": (-5.0, 0.0)},
    "translate_percent": {"x": (-0.1, 0.15), "y": (-0.15, 0.1)},
}
ELASTIC: dict[str, Any] = {"alpha": 30.0, "sigma": 4.0}
DROPOUT: dict[str, Any] = {
    "num_holes_range": (1, 3),
    "hole_height_range": (0.15, 0.3),
    "hole_width_range": (0.1, 0.25),
}

TWINS: dict[str, BatchTransform] = {
    "affine": Affine(**AFFINE, p=1.0),
    "elastic": Elastic(**ELASTIC, p=1.0),
    "dropout": CoarseDropout(**DROPOUT, p=1.0),
}
ORIGINALS: dict[str, albumentations.BasicTransform] = {
    "affine": albumentations.Affine(**AFFINE, p=1.0),
    "elastic": albumentations.ElasticTransform(**ELASTIC, p=1.0),
    "dropout": albumentations.CoarseDropout(**DROPOUT, p=1.0),
}


@dataclass(frozen=True)
class Moments:
    """Ink, centroid and second moments of each image, with mean image and per-pixel variance."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    values: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def of(cls, images: NDArray[np.float32] | NDArray[np.uint8]) -> Moments:
        pixels = images.astype(np.float64)
        ink = pixels.sum(axis=(1, 2))
        rows, columns = np.mgrid[:28, :28]

        def average(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            return (pixels * weights).sum(axis=(1, 2)) / ink

        x, y = average(columns), average(rows)
        dx, dy = columns - x[:, None, None], rows - y[:, None, None]
        values = {
            "ink": ink / 255,
            "x": x,
            "y": y,
            "squares": (pixels**2).sum(axis=(1, 2)) / 255**2,
        }
        values |= {"width": average(dx**2), "height": average(dy**2), "slant": average(dx * dy)}
        return cls(pixels.mean(axis=0), pixels.var(axis=0), values)


def _disagreements(twin: Moments, original: Moments) -> list[str]:
    """Name each figure whose difference chance does not explain at five standard errors."""
    found = []
    for name, drawn in original.values.items():
        other = twin.values[name]
        both = (drawn.var() + other.var()) / DRAWS
        # The original rounds to whole grey levels, which is worth less than 0.2 % of any figure.
        slack = 0.002 * abs(drawn.mean())
        if abs(drawn.mean() - other.mean()) > 5 * both**0.5 + slack:
            found.append(f"mean {name}")
        error = max(_spread_error(drawn), _spread_error(other))
        if abs(drawn.std() - other.std()) > 5 * 2**0.5 * error + 0.01 * drawn.std():
            found.append(f"spread of {name}")
    errors = np.sqrt((original.variance + twin.variance) / DRAWS)
    if (np.abs(original.mean - twin.mean) > 6 * errors + 1.0).any():
        found.append("mean image")
    if np.abs(original.variance - twin.variance).sum() > 0.06 * original.variance.sum():
        found.append("variance per pixel")
    return found


def _spread_error(values: NDArray[np.float64]) -> float:
    """Standard error of a sample's standard deviation, from its fourth moment."""
    centred = values - values.mean()
    variance = (centred**2).mean()
    excess = (centred**4).mean() - variance**2
    return float(np.sqrt(max(excess, 0.0) / (4 * variance * len(values))))


@pytest.fixture(scope="module", name="originals")
def _originals() -> dict[str, Moments]:
    found = {}
    for step, transform in ORIGINALS.items():
        transform.set_random_seed(0)
        drawn = [transform(image=lopsided_digit())["image"] for _ in range(DRAWS)]
        found[step] = Moments.of(np.stack(drawn))
    return found


def _moments(step: BatchTransform) -> Moments:
    batch = torch.from_numpy(lopsided_digit()).float().expand(DRAWS, 1, 28, 28)
    return Moments.of(step(batch, torch.Generator().manual_seed(1)).squeeze(1).numpy())


@pytest.mark.parametrize("step", TWINS)
def test_twin_and_original_agree_in_distribution(step: str, originals: dict[str, Moments]) -> None:
    assert _disagreements(_moments(TWINS[step]), originals[step]) == []


def _widened(name: str, key: str | None, factor: float) -> Affine:
    """The affine twin with one range scaled about its middle, or (scale) about 1."""
    changed = {**AFFINE}
    bounds = AFFINE[name] if key is None else AFFINE[name][key]
    middle = 1.0 if name == "scale" else 0.0
    wider = tuple(sorted(middle + factor * (bound - middle) for bound in bounds))
    changed[name] = wider if key is None else {**AFFINE[name], key: wider}
    return Affine(**changed, p=1.0)


WRONG: dict[str, tuple[str, Callable[[], BatchTransform]]] = {
    "scale": ("affine", lambda: _widened("scale", None, 1.2)),
    "rotate": ("affine", lambda: _widened("rotate", None, 1.2)),
    "rotate's sign": ("affine", lambda: _widened("rotate", None, -1.0)),
    "shear x": ("affine", lambda: _widened("shear", "x", 1.2)),
    "shear x's sign": ("affine", lambda: _widened("shear", "x", -1.0)),
    "shear y's sign": ("affine", lambda: _widened("shear", "y", -1.0)),
    "translate": ("affine", lambda: _widened("translate_percent", "x", 1.2)),
    "alpha": ("elastic", lambda: Elastic(alpha=36.0, sigma=4.0, p=1.0)),
    "sigma": ("elastic", lambda: Elastic(alpha=30.0, sigma=4.8, p=1.0)),
    "hole height": (
        "dropout",
        lambda: CoarseDropout(**{**DROPOUT, "hole_height_range": (0.18, 0.36)}, p=1.0),
    ),
    "holes": ("dropout", lambda: CoarseDropout(**{**DROPOUT, "num_holes_range": (1, 2)}, p=1.0)),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_comparison_notices_a_wrong_parameter(
    wrong: str, originals: dict[str, Moments]
) -> None:
    step, build = WRONG[wrong]

    assert _disagreements(_moments(build()), originals[step]) != []


@pytest.mark.parametrize("step", ["affine", "elastic"])
def test_the_comparison_notices_another_interpolation(
    step: str, originals: dict[str, Moments], monkeypatch: pytest.MonkeyPatch
) -> None:
    bilinear = torch.nn.functional.grid_sample

    def nearest(images: torch.Tensor, grid: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        return bilinear(images, grid, mode="nearest", **kwargs)

    monkeypatch.setattr(torch.nn.functional, "grid_sample", nearest)

    assert _disagreements(_moments(TWINS[step]), originals[step]) != []
