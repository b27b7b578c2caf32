"""Explaining a selection by several methods: the maps, their gallery and the raw arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from digits.errors import ExplanationError
from digits.evaluation.attribution_figures import gallery
from digits.evaluation.explainers import Explainer
from digits.evaluation.selection import Selection

GALLERY, ARRAYS = "gallery.png", "attributions.npz"


def suited(
    network: nn.Module, explainers: Mapping[str, Explainer], image: NDArray[np.uint8]
) -> tuple[dict[str, Explainer], dict[str, str]]:
    """Part the methods that can explain a network from those that cannot, by trying each once.

    Args:
        network: pixels -> logits.
        explainers: named methods.
        image: any one, uint8 ``[28, 28]``.

    Returns:
        The methods that can, and the reasons of those that cannot.

    Raises:
        ExplanationError: none can.
    """
    fit, unfit = {}, {}
    for name, explainer in explainers.items():
        try:
            explainer(network, image[None], np.zeros(1, np.int64))
        except ExplanationError as error:
            unfit[name] = str(error)
        else:
            fit[name] = explainer
    if unfit and not fit:
        raise ExplanationError("; ".join(unfit.values()))
    return fit, unfit


@dataclass(frozen=True)
class Explanations:
    """The maps of every method for a selection.

    Attributes:
        selection: what is explained.
        targets: the classes that are explained, int64 ``[N]``.
        maps: method -> float32 ``[N, 28, 28]``.
    """

    selection: Selection
    targets: NDArray[np.int64]
    maps: Mapping[str, NDArray[np.float32]]

    @classmethod
    def make(
        cls,
        network: nn.Module,
        explainers: Mapping[str, Explainer],
        selection: Selection,
        *,
        target: int | None,
    ) -> Explanations:
        """Explain why ``target`` is the answer, or the answer to each digit where that is None."""
        targets = selection.answers
        if target is not None:
            targets = np.full_like(targets, target)
        maps = {name: each(network, selection.images, targets) for name, each in explainers.items()}
        return cls(selection, targets, maps)

    @property
    def captions(self) -> list[str]:
        """A few lines for each digit."""
        return self.selection.captions(self.targets)

    def zero(self) -> dict[str, int]:
        """Return how many maps are all zero, of each method that gives any."""
        counts = {name: int((~maps.any((1, 2))).sum()) for name, maps in self.maps.items()}
        return {name: count for name, count in counts.items() if count}

    def save(self, folder: Path, *, title: str) -> None:
        """Write the gallery as PNG, and every array as a compressed NPZ without pickle."""
        chosen = self.selection
        gallery(chosen.images, self.captions, self.maps, folder / GALLERY, title=title)
        arrays: dict[str, NDArray[Any]] = {
            "images": chosen.images,
            "labels": chosen.labels,
            "indices": chosen.indices,
            "logits": chosen.logits,
            "targets": self.targets,
            **{f"attribution_{name}": values for name, values in self.maps.items()},
        }
        with (folder / ARRAYS).open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)
