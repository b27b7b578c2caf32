"""Attribution methods of Captum behind one call: how much each pixel mattered to an answer.

Every method takes a network of pixels (float ``[N, 28, 28]`` in 0..255 -> logits ``[N, 10]``) and
gives a map per image. Where a method compares with the absence of ink, that is the blank page.
"""

from __future__ import annotations

import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar

import captum.attr
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from digits.errors import ExplanationError
from digits.evaluation.feature_maps import last_feature_map, spread_out

BLANK = 0.0  # the page without ink, in grey levels
# Captum announces at each call that it hooks activations and unhooks them again.
NOISE = (r"Setting backward hooks on ReLU", r"Setting forward, backward hooks")
# Images at once: more do not stay in the processor's cache.
FORWARD_BATCH = 512


class Explainer(ABC):
    """One method: an entry of the `explainer` config group.

    Attributes:
        multiplies_by_inputs: the map says what each pixel's ink contributes to the logit (a
            *global* attribution in Captum's terms); otherwise how the logit reacts to a change of
            the pixel, per grey level (a *local* one).
        is_complete: a map sums up to the difference of the logit to that of the blank page.
        batch: images that are explained at once.
    """

    multiplies_by_inputs: ClassVar[bool]
    is_complete: ClassVar[bool] = False
    batch: ClassVar[int] = FORWARD_BATCH

    def __call__(
        self, network: nn.Module, images: NDArray[Any], targets: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Explain why ``network`` gives ``targets``; it is left as it is.

        Args:
            network: pixels -> logits.
            images: uint8, or floats in 0..255, ``[N, 28, 28]``.
            targets: the classes that are explained, int64 ``[N]``.

        Returns:
            float32 ``[N, 28, 28]``; an image is explained alike alone and among others.

        Raises:
            ExplanationError: the method does not suit the network.
        """
        network = frozen(network)
        pixels = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))
        classes = torch.from_numpy(np.ascontiguousarray(targets))
        parts = [np.zeros((0, *images.shape[1:]), np.float32)]
        with _without_noise():
            for part, chosen in zip(
                pixels.split(self.batch), classes.split(self.batch), strict=True
            ):
                if len(part):
                    map_ = self.attribute(network, part.requires_grad_(), chosen)
                    parts.append(map_.detach().numpy().astype(np.float32))
        return np.concatenate(parts)

    @abstractmethod
    def attribute(self, network: nn.Module, pixels: Tensor, targets: Tensor) -> Tensor:
        """Return the maps float ``[B, 28, 28]`` of one batch of pixels that require a gradient."""


def frozen(network: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode, its weights without gradient, in the quickest layout."""
    network = copy.deepcopy(network).eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@contextmanager
def _without_noise() -> Iterator[None]:
    with warnings.catch_warnings():
        for message in NOISE:
            warnings.filterwarnings("ignore", message=message)
        yield


class Saliency(Explainer):
    """Magnitude of the gradient (Simonyan et al. 2014, "Deep inside convolutional networks")."""

    multiplies_by_inputs = False

    def attribute(self, network: nn.Module, pixels: Tensor, targets: Tensor) -> Tensor:
        """See :class:`Explainer`."""
        return captum.attr.Saliency(network).attribute(pixels, target=targets)


class InputXGradient(Explainer):
    """Gradient times pixel (Shrikumar et al. 2016, "Not just a black box")."""

    multiplies_by_inputs = True

    def attribute(self, network: nn.Module, pixels: Tensor, targets: Tensor) -> Tensor:
        """See :class:`Explainer`."""
        return captum.attr.InputXGradient(network).attribute(pixels, target=targets)


class IntegratedGradients(Explainer):
    """Gradients along the way from the blank page (Sundararajan et al. 2017).

    Args:
        steps: points on the way, at which a Gauss-Legendre sum takes the gradient.
    """

    multiplies_by_inputs = True
    is_complete = True
    batch = 64

    def __init__(self, steps: Annotated[int, Field(ge=1, le=1000)] = 32) -> None:
        self.steps = steps

    def attribute(self, network: nn.Module, pixels: Tensor, targets: Tensor) -> Tensor:
        """See :class:`Explainer`."""
        method = captum.attr.IntegratedGradients(network)
        return method.attribute(
            pixels,
            baselines=BLANK,
            target=targets,
            n_steps=self.steps,
            internal_batch_size=FORWARD_BATCH,
        )


class SmoothGrad(Explainer):
    """Mean gradient over noisy copies (Smilkov et al. 2017, "SmoothGrad").

    The noise is the same for every image.

    Args:
        samples: copies.
        noise: standard deviation of the noise, as a share of the 255 grey levels.
        seed: of the noise.
    """

    multiplies_by_inputs = False

    def __init__(
        self,
        samples: Annotated[int, Field(ge=1, le=1000)] = 16,
        noise: Annotated[float, Field(gt=0, le=1)] = 0.15,
        seed: Annotated[int, Field(ge=0, lt=2**32)] = 0,
    ) -> None:
        self.samples = samples
        self.noise = noise
        self.seed = seed

    def attribute(self, network: nn.Module, pixels: Tensor, targets: Tensor) -> Tensor:
        """See :class:`Explainer`."""
        method = captum.attr.Saliency(network)
        generator = torch.Generator().manual_seed(self.seed)
        total = torch.zeros_like(pixels)
        for _ in range(self.samples):
            noise = torch.randn(pixels.shape[1:], generator=generator) * (255 * self.noise)
            noisy = (pixels.detach() + noise).requires_grad_()
            total = total + method.attribute(noisy, target=targets, abs=False)
        return total / self.samples


class GuidedBackprop(Explainer):
    """Gradient without the negative parts at each ReLU (Springenberg et al. 2015)."""

    multiplies_by_inputs = False

    def attribute(self, network: nn.Module, pixels: Tensor, targets: Tensor) -> Tensor:
        """See :class:`Explainer`."""
        return captum.attr.GuidedBackprop(network).attribute(pixels, target=targets)


class DeepLift(Explainer):
    """Differences of activations from those of the blank page (Shrikumar et al. 2017).

    Its rules apply to activations that are modules, each used once.
    """

    multiplies_by_inputs = True
    is_complete = True
    batch = 256

    def attribute(self, network: nn.Module, pixels: Tensor, targets: Tensor) -> Tensor:
        """See :class:`Explainer`."""
        try:
            method = captum.attr.DeepLift(network)
            return method.attribute(pixels, baselines=BLANK, target=targets)
        except RuntimeError as error:
            if "used more than once" not in str(error):
                raise
            raise ExplanationError(
                "deeplift: the network uses an activation module in several places; give each "
                "place a module of its own, or choose another explainer"
            ) from error


class Occlusion(Explainer):
    """Loss of logit when a square is made blank (Zeiler and Fergus 2014).

    Args:
        window: side of the square, in pixels.
        stride: pixels from one square to the next; a pixel's value is its mean over the squares.
    """

    multiplies_by_inputs = True
    batch = 64

    def __init__(
        self,
        window: Annotated[int, Field(ge=1, le=28)] = 4,
        stride: Annotated[int, Field(ge=1, le=28)] = 2,
    ) -> None:
        if stride > window:
            raise ValueError(
                f"stride must be at most the window of {window}: pixels would be left out"
            )
        self.window = window
        self.stride = stride

    def attribute(self, network: nn.Module, pixels: Tensor, targets: Tensor) -> Tensor:
        """See :class:`Explainer`."""
        with torch.inference_mode():
            return captum.attr.Occlusion(network).attribute(
                pixels.detach(),
                sliding_window_shapes=(self.window, self.window),
                strides=(self.stride, self.stride),
                baselines=BLANK,
                target=targets,
                perturbations_per_eval=max(1, FORWARD_BATCH // len(pixels)),
            )


class GradCam(Explainer):
    """The last feature maps, weighted by their mean gradient (Selvaraju et al. 2017).

    They are brought to the size of the image by bilinear interpolation.
    """

    multiplies_by_inputs = True

    def attribute(self, network: nn.Module, pixels: Tensor, targets: Tensor) -> Tensor:
        """See :class:`Explainer`."""
        found = last_feature_map(network, pixels[:1].detach())
        if found is None:
            raise ExplanationError(
                "gradcam: the network has no convolution whose map it could show; choose another "
                "explainer"
            )
        method = captum.attr.LayerGradCam(network, found.module)
        maps = method.attribute(pixels, target=targets, relu_attributions=True)
        return spread_out(maps, found).squeeze(1)
