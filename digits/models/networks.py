"""Networks for 28 x 28 gray digits: each maps float32 ``[N, 1, 28, 28]`` to logits ``[N, 10]``.

The input is standardised, ``(pixel / 255 - 0.1307) / 0.3081``. Activations are modules of their own
and never in place, because attribution methods hook them; no forward pass depends on the values in
its input, so that each network exports to ONNX and runs in the channels-last layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

SIDE = 28
CLASSES = 10

Widths = Annotated[list[Annotated[int, Field(ge=1, le=1024)]], Field(min_length=1)]
Dropout = Annotated[float, Field(ge=0, lt=1)]


class Linear(nn.Module):
    """Multinomial logistic regression on the 784 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        """Map float32 ``[N, 1, 28, 28]`` to logits ``[N, 10]``."""
        logits: Tensor = self.layers(images)
        return logits


class Mlp(nn.Module):
    """Fully connected layers of the given widths with batch normalisation."""

    def __init__(self, hidden: Widths, dropout: Dropout = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        width = SIDE * SIDE
        for following in hidden:
            layers += [nn.Linear(width, following, bias=False), nn.BatchNorm1d(following)]
            layers += [nn.ReLU(), *_dropout(dropout)]
            width = following
        self.layers = nn.Sequential(*layers, nn.Linear(width, CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        """Map float32 ``[N, 1, 28, 28]`` to logits ``[N, 10]``."""
        logits: Tensor = self.layers(images)
        return logits


class LeNet(nn.Module):
    """LeNet-5 with rectified units and max pooling.

    Layer sizes from LeCun et al., "Gradient-based learning applied to document recognition", 1998;
    the 28 x 28 image is padded to the 32 x 32 of the paper by the first convolution.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, CLASSES),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map float32 ``[N, 1, 28, 28]`` to logits ``[N, 10]``."""
        logits: Tensor = self.head(self.features(images))
        return logits


class Cnn(nn.Module):
    """Stages of convolution, batch normalisation and ReLU, with 2 x 2 max pooling in between.

    Args:
        channels: width of each stage; the image halves from one to the next.
        depth: convolutions per stage, 3 x 3.
        stem: the convolution that reads the image: ``conv3`` (3 x 3) or ``patch`` (6 x 6 with
            stride 2: a quarter of the positions, so much cheaper and a little less accurate).
        crop: border pixels the network does not look at; the digits of MNIST seldom reach them.
        head: ``average`` pools the last stage over all positions, ``flatten`` keeps the positions.
        hidden: width of a fully connected layer before the logits, 0 for none.
        dropout: probability of dropping an input of the last layer.
    """

    def __init__(
        self,
        channels: Widths,
        *,
        depth: Annotated[int, Field(ge=1, le=4)] = 2,
        stem: Literal["conv3", "patch"] = "conv3",
        crop: Annotated[int, Field(ge=0, le=4)] = 0,
        head: Literal["average", "flatten"] = "flatten",
        hidden: Annotated[int, Field(ge=0, le=4096)] = 0,
        dropout: Dropout = 0.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ZeroPad2d(-crop)] if crop else []
        width, side = 1, SIDE - 2 * crop
        for stage, following in enumerate(channels):
            if stage:
                layers.append(nn.MaxPool2d(2))
                side //= 2
            for layer in range(depth):
                if stage == layer == 0 and stem == "patch":
                    layers += _convolution(width, following, kernel_size=6, stride=2)
                    side //= 2
                else:
                    layers += _convolution(width, following)
                width = following
        self.features = nn.Sequential(*layers)
        self.head = _head(width, side, head, hidden, dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Map float32 ``[N, 1, 28, 28]`` to logits ``[N, 10]``."""
        logits: Tensor = self.head(self.features(images))
        return logits


class ResNet(nn.Module):
    """Residual network: a 3 x 3 stem, then stages of residual blocks, halving between stages.

    Blocks as in He et al., "Deep residual learning for image recognition", 2016.

    Args:
        channels: width of each stage.
        depth: residual blocks per stage.
        dropout: probability of dropping an input of the last layer.
    """

    def __init__(
        self,
        channels: Widths,
        *,
        depth: Annotated[int, Field(ge=1, le=8)] = 1,
        dropout: Dropout = 0.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [*_convolution(1, channels[0])]
        width = channels[0]
        for stage, following in enumerate(channels):
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(ResidualBlock(width, following, stride=stride))
                width = following
        self.features = nn.Sequential(*layers)
        self.head = _head(width, 1, "average", 0, dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Map float32 ``[N, 1, 28, 28]`` to logits ``[N, 10]``."""
        logits: Tensor = self.head(self.features(images))
        return logits


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut, projected by 1 x 1 where the shape changes."""

    def __init__(self, width: int, following: int, *, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_convolution(width, following, stride=stride),
            nn.Conv2d(following, following, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(following),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or width != following:
            self.shortcut = nn.Sequential(
                nn.Conv2d(width, following, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(following),
            )
        self.activation = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """Map float32 ``[N, width, H, W]`` to ``[N, following, H / stride, W / stride]``."""
        activated: Tensor = self.activation(self.residual(features) + self.shortcut(features))
        return activated


class Tiny(nn.Module):
    """A convolutional network of fewer than 10,000 parameters.

    Args:
        channels: width of each convolution.
        pool_after: 1-based positions of the convolutions followed by 2 x 2 max pooling.
        dropout: probability of dropping an input of the last layer.
    """

    def __init__(
        self,
        channels: Widths,
        *,
        pool_after: Annotated[list[int], Field(max_length=3)],
        dropout: Dropout = 0.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 1
        for position, following in enumerate(channels, start=1):
            layers += _convolution(width, following)
            width = following
            if position in pool_after:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.head = _head(width, 1, "average", 0, dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Map float32 ``[N, 1, 28, 28]`` to logits ``[N, 10]``."""
        logits: Tensor = self.head(self.features(images))
        return logits


def _convolution(
    width: int, following: int, *, kernel_size: int = 3, stride: int = 1
) -> Sequence[nn.Module]:
    padding = (kernel_size - stride + 1) // 2
    convolution = nn.Conv2d(width, following, kernel_size, stride, padding, bias=False)
    return convolution, nn.BatchNorm2d(following), nn.ReLU()


def _head(
    width: int, side: int, kind: Literal["average", "flatten"], hidden: int, dropout: float
) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    if kind == "average":
        layers.insert(0, nn.AdaptiveAvgPool2d(1))
    else:
        width *= side * side
    if hidden:
        layers += [nn.Linear(width, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()]
        width = hidden
    return nn.Sequential(*layers, *_dropout(dropout), nn.Linear(width, CLASSES))


def _dropout(probability: float) -> Sequence[nn.Module]:
    return (nn.Dropout(probability),) if probability else ()
