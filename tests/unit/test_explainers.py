"""Attribution methods: on a network whose right explanation is known, and on every network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from digits.errors import ExplanationError
from digits.evaluation import explainers
from digits.evaluation.explainers import Explainer
from digits.evaluation.feature_maps import last_feature_map
from digits.models.inference import Inference
from digits.models.networks import Cnn, LeNet, Linear, Mlp, ResNet, Tiny
from tests.unit.explained import small, weighted

METHODS: dict[str, Explainer] = {
    "saliency": explainers.Saliency(),
    "input_x_gradient": explainers.InputXGradient(),
    "integrated_gradients": explainers.IntegratedGradients(64),
    "smoothgrad": explainers.SmoothGrad(samples=3),
    "guided_backprop": explainers.GuidedBackprop(),
    "deeplift": explainers.DeepLift(),
    "occlusion": explainers.Occlusion(window=7, stride=7),
    "gradcam": explainers.GradCam(),
}
NETWORKS = {
    "linear": Linear,
    "mlp": lambda: Mlp([16, 8], dropout=0.1),
    "lenet": LeNet,
    "cnn": lambda: Cnn([4, 8], dropout=0.1),
    "cnn_fast": lambda: Cnn([4, 8], depth=1, stem="patch", crop=2, hidden=16),
    "resnet": lambda: ResNet([4, 8], dropout=0.1),
    "tiny": lambda: Tiny([4, 4, 8], pool_after=[1, 2]),
}
FLAT = ("linear", "mlp")  # networks without convolutions
REFUSED = [(name, "gradcam") for name in FLAT]


def _network(name):
    torch.manual_seed(0)
    return Inference(NETWORKS[name](), mean=0.13, std=0.31).eval()


def _gained(network, images, targets):
    with torch.no_grad():
        logits = network(torch.from_numpy(images)) - network(torch.zeros(1, 28, 28))
    return logits.numpy()[np.arange(len(images)), targets]


@pytest.mark.parametrize(
    ("name", "method"),
    [(name, method) for name in NETWORKS for method in METHODS if (name, method) not in REFUSED],
)
def test_method_explains_network_alike_alone_and_among_others(name, method, digits):
    network, images, targets = _network(name), digits.test.images[:3], digits.test.labels[:3]

    maps = METHODS[method](network, images, targets)

    assert maps.shape == (3, 28, 28) and maps.dtype == np.float32
    assert np.isfinite(maps).all() and maps.any((1, 2)).sum() >= 2  # a Grad-CAM may be all zero
    alone = METHODS[method](network, images[1:2], targets[1:2])
    np.testing.assert_allclose(alone[0], maps[1], atol=1e-4 * np.abs(maps).max())
    assert all(weights.grad is None for weights in network.parameters())


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"gradcam"}))
def test_known_weights_are_found(method, digits):
    network, weights = weighted()
    images, targets = digits.test.images[:4], digits.test.labels[:4]
    ink, slope = images.astype(np.float32), weights[targets]
    expected = ink * slope if METHODS[method].multiplies_by_inputs else slope
    if method == "saliency":
        expected = np.abs(expected)
    maps = METHODS[method](network, images, targets)
    if method == "occlusion":  # every pixel of a square has the square's part
        maps, expected = (each.reshape(4, 4, 7, 4, 7).sum((2, 4)) for each in (maps, expected))
        maps = maps / 49
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].is_complete])
@pytest.mark.parametrize("name", ["mlp", "resnet"])
def test_complete_methods_add_up_to_the_logit_gained(name, method, digits):
    network, images, targets = _network(name), digits.test.images[:5], digits.test.labels[:5]
    maps = METHODS[method](network, images, targets)
    due = _gained(network, images, targets)
    np.testing.assert_allclose(maps.sum((1, 2)), due, atol=0.03 * np.abs(due).max())


def test_more_steps_close_the_gap_of_integrated_gradients(digits):
    network, images, targets = small(), digits.test.images, digits.test.labels
    due = _gained(network, images, targets)
    gaps = [
        np.abs(explainers.IntegratedGradients(steps)(network, images, targets).sum((1, 2)) - due)
        for steps in (2, 64)
    ]
    assert gaps[1].mean() < gaps[0].mean() / 4


def test_smoothgrad_depends_on_its_seed_and_on_nothing_else(digits):
    network, images, targets = small(), digits.test.images[:2], digits.test.labels[:2]
    maps = [explainers.SmoothGrad(3, seed=seed)(network, images, targets) for seed in (1, 1, 2)]
    assert np.array_equal(maps[0], maps[1])
    assert not np.allclose(maps[0], maps[2])


@pytest.mark.parametrize("name", FLAT)
def test_gradcam_refuses_a_network_without_convolution(name, digits):
    with pytest.raises(ExplanationError, match=r"^gradcam: the network has no convolution"):
        METHODS["gradcam"](_network(name), digits.test.images[:1], digits.test.labels[:1])


@pytest.mark.parametrize(
    ("name", "side"),
    [("lenet", 10), ("cnn", 14), ("cnn_fast", 6), ("resnet", 14), ("tiny", 7)],
)
def test_gradcam_shows_the_last_activation_before_the_places_are_lost(name, side):
    network = _network(name)
    found = last_feature_map(network, torch.zeros(1, 28, 28))
    outputs = []
    found.module.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    network(torch.zeros(1, 28, 28))
    assert isinstance(found.module, nn.ReLU)
    assert outputs[0].shape[2:] == (side, side)
    if name == "resnet":
        assert found.module is network.network.features[-1].activation


def test_gradcam_is_zero_where_the_network_does_not_look(digits):
    maps = METHODS["gradcam"](_network("cnn_fast"), digits.test.images[:4], digits.test.labels[:4])
    inside = maps[:, 2:-2, 2:-2]
    assert inside.sum() == pytest.approx(maps.sum()) and inside.any()


def test_reused_activation_is_named(digits):
    class Reusing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(784, 16), nn.Linear(16, 10)
            self.activation = nn.ReLU()

        def forward(self, pixels):
            hidden = self.activation(self.first(pixels.float().flatten(1) / 255))
            return self.activation(self.second(hidden) + 1)

    with pytest.raises(ExplanationError, match=r"deeplift: .* activation module in several places"):
        METHODS["deeplift"](Reusing(), digits.test.images[:1], digits.test.labels[:1])


def test_nothing_to_explain_gives_no_maps(digits):
    maps = METHODS["saliency"](small(), digits.test.images[:0], digits.test.labels[:0])
    assert maps.shape == (0, 28, 28)


def test_stride_beyond_the_window_is_refused():
    with pytest.raises(ValueError, match="stride must be at most the window of 3"):
        explainers.Occlusion(window=3, stride=4)
