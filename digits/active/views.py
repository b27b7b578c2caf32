"""A trained model as acquisition asks it: part by part, here or wherever the parts are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from digits.active.acquisition import Need
from digits.active.pool import Floats, Scored
from digits.evaluation.classify import onnx_classifier

if TYPE_CHECKING:
    from torch import nn

Images = NDArray[np.uint8]
View = Callable[[Images], Scored]
#: (view, parts of the images) -> what it says of each, in their order
Over = Callable[[View, Iterable[Images]], Iterator[Scored]]

PART = 2500  # images
MOST_FEATURES = 256  # of an embedding; more are mixed into as many


@dataclass(frozen=True)
class Graph:
    """An exported graph: probabilities alone, without torch.

    Attributes:
        graph: the ONNX file.
        temperature: its logits are divided by it.
    """

    graph: bytes
    temperature: float = 1.0

    def __call__(self, images: Images) -> Scored:
        """Ask about images uint8 ``[N, 28, 28]``."""
        logits = onnx_classifier(self.graph)(images) / self.temperature
        return Scored(softmax(logits, axis=1).astype(np.float32))


@dataclass(frozen=True)
class Network:
    """A network, with what only it can tell.

    Attributes:
        network: pixels ``[N, 28, 28]`` of uint8 -> logits ``[N, 10]``; its last module is linear.
        needs: what is wanted beside probabilities.
        draws: how many networks its dropout is to make.
        seed: of these, and of how features are mixed: the same for every part.
    """

    network: nn.Module
    needs: frozenset[Need]
    draws: int
    seed: int

    def __call__(self, images: Images) -> Scored:
        """Ask about images uint8 ``[N, 28, 28]``."""
        import torch

        from digits.active.scoring import scored

        images = np.require(images, requirements="W")  # torch warns of others, as Ray gives them
        generator = torch.Generator().manual_seed(self.seed)
        found = scored(
            self.network, images, needs=self.needs, draws=self.draws, generator=generator
        )
        mixed = None if found.embeddings is None else _mixed(found.embeddings, self.seed)
        return Scored(found.probabilities, found.draws, mixed)


def quickened(network: nn.Module, temperature: float = 1.0) -> nn.Module:
    """Return a network as it answers fastest, its logits divided by a temperature; in place.

    Each normalisation becomes part of the layer before it.

    Args:
        network: in evaluation mode, its last module linear.
        temperature: of the softmax to come.
    """
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

    for row in [each for each in network.modules() if isinstance(each, torch.nn.Sequential)]:
        for place in range(len(row) - 1):
            layer, after = row[place], row[place + 1]
            if isinstance(layer, torch.nn.Conv2d) and isinstance(after, torch.nn.BatchNorm2d):
                row[place], row[place + 1] = fuse_conv_bn_eval(layer, after), torch.nn.Identity()
            if isinstance(layer, torch.nn.Linear) and isinstance(after, torch.nn.BatchNorm1d):
                row[place], row[place + 1] = fuse_linear_bn_eval(layer, after), torch.nn.Identity()
    last = [each for each in network.modules() if isinstance(each, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.weight.div_(temperature)
        last.bias.div_(temperature)
    # The stubs of `to` do not know memory_format.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def view(
    asked: View, images: Images, *, over: Over = map, step: Callable[[str], None] | None = None
) -> Scored:
    """Ask about many images, a part at a time.

    Args:
        asked: the model.
        images: uint8 ``[N, 28, 28]``, at least one.
        over: how the parts are gone through.
        step: called after each part with what was done.
    """
    parts = [images[start : start + PART] for start in range(0, len(images), PART)]
    found: list[Scored] = []
    done = 0
    for part in over(asked, parts):
        found.append(part)
        done += len(part)
        if step is not None:
            step(f"{done:,} of {len(images):,} images")
    return Scored(
        np.concatenate([part.probabilities for part in found]),
        _joined([part.draws for part in found]),
        _joined([part.embeddings for part in found]),
    )


def steps(images: Images) -> int:
    """Return into how many parts :func:`view` takes these images."""
    return -(-len(images) // PART)


def _joined(parts: list[Floats | None]) -> Floats | None:
    present = [part for part in parts if part is not None]
    return np.concatenate(present) if len(present) == len(parts) else None


def _mixed(features: Floats, seed: int) -> Floats:
    """Mix features ``[N, D]`` at random into fewer that keep distances and inner products.

    Up to some per cent: Johnson and Lindenstrauss 1984, "Extensions of Lipschitz mappings into a
    Hilbert space".
    """
    width = features.shape[1]
    if width <= MOST_FEATURES:
        return features
    generator = np.random.default_rng(seed)
    weights = generator.standard_normal((width, MOST_FEATURES), dtype=np.float32)
    mixed: Floats = features @ (weights / np.float32(np.sqrt(MOST_FEATURES)))
    return mixed
