"""Does an explanation depend on what the network has learned? (Adebayo et al. 2018)

"Sanity checks for saliency maps": a map that looks the same for a network with random weights says
something of the image, not of the network.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import nn

#: (network, images [N, 28, 28], classes [N]) -> maps float32 [N, 28, 28]
Explain = Callable[[nn.Module, NDArray[Any], NDArray[np.int64]], NDArray[np.float32]]

BATCH = 500
DRAWS = 10  # networks with random weights: a single one may resemble the trained one by chance


def saliency(
    network: nn.Module, images: NDArray[Any], targets: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the magnitude of the gradient, float32 ``[N, 28, 28]``, without any other library."""
    parts = [np.zeros((0, *images.shape[1:]), np.float32)]
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        pixels = torch.from_numpy(images[part].astype(np.float32)).requires_grad_()
        classes = torch.from_numpy(targets[part])
        total = network(pixels).gather(1, classes[:, None]).sum()
        (gradient,) = torch.autograd.grad(total, pixels)
        parts.append(gradient.abs().numpy())
    return np.concatenate(parts)


def randomised(network: nn.Module, *, seed: int) -> nn.Module:
    """Return a copy in evaluation mode that has learned nothing.

    Every layer begins anew, its running statistics too, as by its own ``reset_parameters``; weights
    that belong to no such layer are shuffled.
    """
    other = copy.deepcopy(network).eval()
    renewed: set[int] = set()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for module in other.modules():
            renew = getattr(module, "reset_parameters", None)
            if renew is not None:
                renew()
                renewed |= {id(weights) for weights in module.parameters(recurse=False)}
        for weights in other.parameters():
            if id(weights) not in renewed:
                order = torch.randperm(weights.numel())
                weights.copy_(weights.flatten()[order].view(weights.shape))
    return other


def untrained_maps(
    network: nn.Module,
    images: NDArray[Any],
    targets: NDArray[np.int64],
    *,
    seed: int,
    explain: Explain,
) -> NDArray[np.float32]:
    """Explain by copies that have learned nothing, float32 ``[N, 28, 28]``.

    There are ten of them, and each explains a tenth of the images: as cheap as one of them, and
    the mean over the images is one over the draws too.
    """
    seeds = np.random.SeedSequence(seed).generate_state(DRAWS)
    parts = np.array_split(np.arange(len(images)), DRAWS)
    maps = [
        explain(randomised(network, seed=int(each)), images[part], targets[part])
        for each, part in zip(seeds, parts, strict=True)
    ]
    return np.concatenate(maps)


def rank_correlation(
    maps: NDArray[np.float32],
    others: NDArray[np.float32],
    where: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Return Spearman's correlation of each pair of maps, ``[N]``; NaN where one is constant.

    Args:
        maps, others: float32 ``[N, 28, 28]``.
        where: the pixels that count, bool ``[N, 28, 28]``; all of them unless given.
    """
    found = np.full(len(maps), np.nan)
    for number, pair in enumerate(zip(maps, others, strict=True)):
        kept = np.ones(pair[0].shape, bool) if where is None else where[number]
        first, second = (rankdata(each[kept]) for each in pair)
        if np.ptp(first) > 0 and np.ptp(second) > 0:
            found[number] = np.corrcoef(first, second)[0, 1]
    return found


def randomisation_similarity(
    network: nn.Module,
    images: NDArray[np.uint8],
    targets: NDArray[np.int64],
    *,
    seed: int,
    explain: Explain = saliency,
) -> float:
    """Return how much maps resemble those of the same network with random weights.

    Args:
        network: pixels ``[N, 28, 28]`` in 0..255 -> logits; left as it is.
        images: uint8 ``[N, 28, 28]``.
        targets: the classes that are explained, int64 ``[N]``.
        seed: of the random weights.
        explain: makes the maps.

    Returns:
        Mean absolute rank correlation of the maps' magnitudes in 0..1; low is sane. NaN where no
        pair of maps can be compared, because one of them is constant.
    """
    maps = explain(copy.deepcopy(network).eval(), images, targets)
    others = untrained_maps(network, images, targets, seed=seed, explain=explain)
    return similarity(maps, others)


def similarity(
    maps: NDArray[np.float32],
    others: NDArray[np.float32],
    where: NDArray[np.bool_] | None = None,
) -> float:
    """Return the mean absolute rank correlation of the magnitudes of two sets of maps.

    On all pixels it is high wherever a method multiplies by the pixels: both maps then are zero on
    the background. ``where`` there is ink shows how alike they are beyond that.
    """
    found = np.abs(rank_correlation(np.abs(maps), np.abs(others), where))
    found = found[np.isfinite(found)]
    return float(found.mean()) if len(found) else float("nan")
