"""Every network: shape of the answer, size, no surprises for hooks, layout and export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from digits.models.networks import Cnn, LeNet, Linear, Mlp, ResNet, Tiny
from digits.training.export import onnx_answers, to_onnx

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "linear": Linear,
    "mlp": lambda: Mlp([32, 16], dropout=0.1),
    "lenet": LeNet,
    "cnn": lambda: Cnn([8, 16, 16], dropout=0.1),
    "cnn_fast": lambda: Cnn([8, 16], depth=1, stem="patch", crop=2, hidden=32),
    "cnn_average": lambda: Cnn([8, 16], head="average"),
    "resnet": lambda: ResNet([8, 16], depth=2, dropout=0.1),
    "tiny": lambda: Tiny([8, 12, 16], pool_after=[1, 2], dropout=0.05),
}


@pytest.fixture(params=NETWORKS, name="network")
def _network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[request.param]()


def _images(count: int) -> torch.Tensor:
    return torch.randn(count, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_maps_images_to_ten_logits(network: nn.Module) -> None:
    logits = network(_images(5))

    assert logits.shape == (5, 10)
    assert logits.dtype == torch.float32
    assert len(torch.unique(logits[:, 0])) == 5


def test_every_parameter_learns(network: nn.Module) -> None:
    loss = nn.functional.cross_entropy(network(_images(8)), torch.arange(8))
    loss.backward()

    silent = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert silent == []


def test_an_image_is_read_alike_alone_and_in_a_batch(network: nn.Module) -> None:
    images = _images(4)
    network.eval()

    together = network(images)

    alone = torch.cat([network(image.unsqueeze(0)) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_activations_are_modules_that_work_out_of_place(network: nn.Module) -> None:
    images = _images(2)
    kept = images.clone()
    activations = [module for module in network.modules() if isinstance(module, nn.ReLU)]
    calls: list[nn.Module] = []
    for activation in activations:
        activation.register_forward_hook(lambda module, *_: calls.append(module))

    network(images)

    assert not any(activation.inplace for activation in activations)
    assert len(calls) == len(set(calls)) == len(activations)
    assert torch.equal(images, kept)


def test_channels_last_gives_the_same_logits(network: nn.Module) -> None:
    images = _images(3)
    network.eval()
    expected = network(images)

    network.to(memory_format=torch.channels_last)

    channels_last = images.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(network(channels_last), expected, atol=1e-5, rtol=1e-4)


def test_the_exported_graph_answers_any_batch_alike(network: nn.Module, tmp_path: Path) -> None:
    file = tmp_path / "network.onnx"
    pixels = np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8)
    network.eval()

    to_onnx(network, mean=0.0, std=1.0, file=file)

    with torch.no_grad():
        expected = network(torch.from_numpy(pixels).float().unsqueeze(1) / 255)
    np.testing.assert_allclose(onnx_answers(file, pixels), expected.numpy(), atol=1e-4)


def test_cropped_pixels_do_not_matter() -> None:
    network = Cnn([8], depth=1, crop=2).eval()
    images = _images(2)
    bordered = images.clone()
    bordered[:, :, :2] = bordered[:, :, -2:] = 9.0
    bordered[:, :, :, :2] = bordered[:, :, :, -2:] = 9.0

    assert torch.equal(network(bordered), network(images))


def test_a_patch_stem_reads_a_quarter_of_the_positions() -> None:
    widths = {
        stem: Cnn([8], depth=1, stem=stem).head[-1].in_features for stem in ("conv3", "patch")
    }

    assert widths == {"conv3": 8 * 28 * 28, "patch": 8 * 14 * 14}


def test_depth_adds_convolutions_to_each_stage() -> None:
    def convolutions(depth: int) -> int:
        layers = Cnn([8, 16], depth=depth).modules()
        return sum(isinstance(layer, nn.Conv2d) for layer in layers)

    assert [convolutions(depth) for depth in (1, 2, 3)] == [2, 4, 6]


def test_the_hidden_layer_is_optional() -> None:
    assert _parameters(Cnn([8], hidden=0)) != _parameters(Cnn([8], hidden=16))
    assert Cnn([8], hidden=16).head[-1].in_features == 16


def test_tiny_keeps_its_positions_until_it_pools() -> None:
    network = Tiny([4, 4, 4], pool_after=[1, 3])

    assert network.features(_images(1)).shape == (1, 4, 7, 7)
