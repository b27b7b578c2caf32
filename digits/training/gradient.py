"""Export how a network's logits react to its pixels: what explanations are made of, without torch.

Torch's autograd is traced once, so that the backward pass is a graph of forward operators; the two
of its operators that ONNX does not have are written in terms of others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from digits.errors import ExportError
from digits.models.embedding import Axes
from digits.models.features import with_features
from digits.training.export import TOLERANCE, for_inference, open_graph, write_graph

OUTPUTS = ("gradient", "logits", "embedding")
aten = torch.ops.aten


def gradient_to_onnx(
    network: nn.Module, *, mean: float, std: float, axes: Axes, file: Path
) -> None:
    """Write ``pixels`` float32 ``[batch, 28, 28]`` in 0..255, ``target`` int64 ``[batch]`` ->

    - ``gradient`` float32 ``[batch, 28, 28]``: of each image's target logit, per grey level;
    - ``logits`` float32 ``[batch, 10]``;
    - ``embedding`` float32 ``[batch, E]``: the features before the last layer, along ``axes``.
    """
    model = for_inference(network, mean=mean, std=std).requires_grad_(False)

    def react(pixels: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pixels = pixels.detach().requires_grad_()
        logits, features = with_features(model, pixels)
        chosen = logits.gather(1, target.unsqueeze(1))
        (gradient,) = torch.autograd.grad(chosen.sum(), pixels)
        return gradient, logits.detach(), axes.project(features.detach())

    # Two sizes of a batch that torch does not take for fixed ones: 0 and 1 would be.
    examples = {"pixels": torch.zeros(3, 28, 28), "target": torch.arange(3)}
    traced = make_fx(
        react,
        decomposition_table=WRITTEN_OUT,
        tracing_mode="symbolic",
        _allow_non_fake_inputs=True,
    )(*examples.values())
    write_graph(traced.eval(), examples, OUTPUTS, file)


def check_gradient(
    network: nn.Module, *, mean: float, std: float, images: NDArray[np.uint8], file: Path
) -> None:
    """Hold the graph against torch on ``images`` uint8 ``[N, 28, 28]``, for a target each.

    Raises:
        ExportError: a gradient differs by more than 1e-3 of the largest.
    """
    model = for_inference(network, mean=mean, std=std).requires_grad_(False)
    pixels = torch.from_numpy(images).float().requires_grad_()
    target = torch.arange(len(images)) % 10
    (wanted,) = torch.autograd.grad(model(pixels).gather(1, target[:, None]).sum(), pixels)
    (found,) = open_graph(file).run(
        ["gradient"], {"pixels": pixels.detach().numpy(), "target": target.numpy()}
    )
    difference = float(np.abs(found - wanted.numpy()).max())
    # "not <=" rather than ">": a NaN is no agreement.
    if not difference <= TOLERANCE * float(wanted.abs().max()):
        raise ExportError(
            f"the gradient graph is not the network's gradient: they differ by up to "
            f"{difference:.2g}. Nothing was registered."
        )


def _convolution_backward(
    gradient: Tensor,
    images: Tensor,
    weight: Tensor,
    bias_sizes: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    wanted: Sequence[bool],
) -> tuple[Tensor, None, None]:
    """Only the images' gradient: it is the transposed convolution of the output's."""
    rest = [
        (size + 2 * pad - reach * (side - 1) - 1) % step
        for size, pad, side, step, reach in zip(
            images.shape[2:], padding, weight.shape[2:], stride, dilation, strict=True
        )
    ]
    back = aten.convolution.default(
        gradient, weight, None, stride, padding, dilation, True, rest, groups
    )
    return back, None, None


def _max_pool_backward(gradient: Tensor, images: Tensor, *pooling: object) -> Tensor:
    """Each output's gradient goes to the pixel that was the largest."""
    places = pooling[-1]
    assert isinstance(places, Tensor)
    nothing = torch.zeros_like(images).flatten(2)
    return nothing.scatter_add(2, places.flatten(2), gradient.flatten(2)).view_as(images)


WRITTEN_OUT: dict[Any, Any] = {
    aten.convolution_backward.default: _convolution_backward,
    aten.max_pool2d_with_indices_backward.default: _max_pool_backward,
}
