"""A pool as a network sees it: what acquisition looks at, and nothing that costs more."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from digits.active.acquisition import Need
from digits.active.pool import Floats, Scored
from digits.models.features import with_features

Images = NDArray[np.uint8]
BATCH = 250  # on a CPU quicker than a thousand: what a layer makes stays in the cache


def scored(
    network: nn.Module,
    images: Images,
    *,
    needs: Collection[Need] = (),
    draws: int = 20,
    generator: torch.Generator | None = None,
) -> Scored:
    """Ask a network about every sample of a pool.

    Draws are networks whose last dropout is left on, each with units of its own left out for all
    samples alike (the consistent masks that Kirsch et al. 2019, "BatchBALD", section 4.3, need to
    join samples). A network without dropout there has none.

    Args:
        network: pixels ``[N, 28, 28]`` of uint8 -> logits ``[N, 10]``; its last module is linear.
        images: the pool, uint8 ``[N, 28, 28]``.
        needs: what is wanted beside probabilities.
        draws: how many networks.
        generator: of the units that are left out.
    """
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            logits, features = _asked(network, images)
            return Scored(
                probabilities=_softmax(logits),
                draws=_drawn(network, features, draws, generator) if "draws" in needs else None,
                embeddings=features.numpy() if "embeddings" in needs else None,
            )
    finally:
        network.train(was_training)


def _asked(network: nn.Module, images: Images) -> tuple[Tensor, Tensor]:
    """Return logits ``[N, 10]`` and what the last layer reads, ``[N, D]``."""
    answers = [with_features(network, part) for part in torch.from_numpy(images).split(BATCH)]
    logits, features = (torch.cat(parts).float().cpu() for parts in zip(*answers, strict=True))
    return logits, features


def _drawn(
    network: nn.Module, features: Tensor, draws: int, generator: torch.Generator | None
) -> Floats | None:
    """Return float32 ``[N, K, 10]``, or None for a network that drops nothing of its features."""
    modules = [each for each in network.modules() if not list(each.children())]
    dropout, last = ([None, None, *modules])[-2:]
    if not isinstance(dropout, nn.Dropout) or not isinstance(last, nn.Linear):
        return None
    kept = torch.rand(draws, features.shape[1], generator=generator) >= dropout.p
    weights = last.weight.float().cpu() * kept.unsqueeze(1) / (1 - dropout.p)  # [K, 10, D]
    bias = last.bias.float().cpu()
    parts = [
        torch.einsum("nd,kcd->nkc", part, weights) + bias for part in features.split(10 * BATCH)
    ]
    return np.concatenate([_softmax(part) for part in parts])


def _softmax(logits: Tensor) -> Floats:
    probabilities: Floats = logits.softmax(-1).numpy()
    return probabilities
