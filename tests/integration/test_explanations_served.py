"""Explanations without torch are Captum's; the gradient graph of every network is its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from digits.contract.manifest import GRADIENT
from digits.errors import ExportError
from digits.evaluation import explainers
from digits.models import networks
from digits.models.embedding import Axes
from digits.models.features import with_features
from digits.training.export import for_inference, open_graph, to_onnx
from digits.training.gradient import check_gradient, gradient_to_onnx
from serving.explanations import Explainer

NETWORKS = {
    "linear": networks.Linear,
    "mlp": lambda: networks.Mlp([16], dropout=0.2),
    "lenet": networks.LeNet,
    "cnn": lambda: networks.Cnn([4, 8], depth=1, dropout=0.1),
    "cnn patch": lambda: networks.Cnn([4, 8], depth=1, stem="patch", crop=1, hidden=8),
    "resnet": lambda: networks.ResNet([4, 8]),
    "tiny": lambda: networks.Tiny([4, 8], pool_after=[1]),
}
STANDARD = {"mean": 0.1307, "std": 0.3081}


def embedding_axes(network, images):
    model = for_inference(network, **STANDARD)
    with torch.inference_mode():
        features = with_features(model, torch.from_numpy(images))[1]
    return features, Axes.of(features.numpy(), 8)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_of_every_network(name, digits, tmp_path):
    torch.manual_seed(0)
    network, images = NETWORKS[name](), digits.test.images
    for part in network.modules():  # as if trained: statistics that evaluation mode uses
        if isinstance(part, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
    features, axes = embedding_axes(network, images)
    file = tmp_path / GRADIENT
    gradient_to_onnx(network, **STANDARD, axes=axes, file=file)
    check_gradient(network, **STANDARD, images=images, file=file)
    pixels = images.astype(np.float32)
    gradient, logits, embedding = open_graph(file).run(
        None, {"pixels": pixels, "target": np.zeros(len(images), np.int64)}
    )
    with torch.inference_mode():
        wanted = for_inference(network, **STANDARD)(torch.from_numpy(pixels))
    np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(embedding, axes.project(features), rtol=1e-4, atol=1e-4)
    assert gradient.shape == (80, 28, 28)
    assert [entry.name for entry in tmp_path.iterdir()] == [GRADIENT]


def test_gradient_of_another_network_is_refused(digits, tmp_path):
    first, second = networks.Linear(), networks.Linear()
    _, axes = embedding_axes(first, digits.test.images)
    gradient_to_onnx(first, **STANDARD, axes=axes, file=tmp_path / GRADIENT)
    with pytest.raises(ExportError, match="not the network's gradient"):
        check_gradient(second, **STANDARD, images=digits.test.images, file=tmp_path / GRADIENT)


def test_axes_keep_distances_and_come_longest_first():
    random = np.random.default_rng(0)
    for count, width in ((30, 200), (200, 30)):
        features = random.normal(size=(count, 4)) @ random.normal(size=(4, width)) + 7
        axes = Axes.of(features.astype(np.float32), 6)
        places = axes.project(torch.from_numpy(features.astype(np.float32))).numpy()
        spread = places.std(axis=0)
        assert (np.diff(spread[:4]) < 0).all()
        np.testing.assert_allclose(spread[4:], 0, atol=1e-4)
        np.testing.assert_allclose(
            np.linalg.norm(places[0] - places[1]),
            np.linalg.norm(features[0] - features[1]),
            rtol=1e-4,
        )


@pytest.fixture(scope="module")
def subject(classifier_of_scans, scans, tmp_path_factory):
    """200 held-out scans, the network in torch, and what explains it without."""
    folder, trained = tmp_path_factory.mktemp("graphs"), classifier_of_scans.network
    images = scans.test.images[:200]
    _, axes = embedding_axes(trained, images)
    gradient_to_onnx(trained, **STANDARD, axes=axes, file=folder / GRADIENT)
    to_onnx(trained, **STANDARD, file=folder / "model.onnx")
    model = open_graph(folder / "model.onnx")
    explainer = Explainer(
        open_graph(folder / GRADIENT), lambda pixels: model.run(None, {"pixels": pixels})[0]
    )
    inference = for_inference(trained, **STANDARD)
    with torch.inference_mode():
        logits = inference(torch.from_numpy(images)).numpy()
    assert (logits.argmax(axis=1) == scans.test.labels[:200]).mean() > 0.95
    return images, inference, explainer, logits


@pytest.mark.parametrize(
    ("method", "reference"),
    [
        ("saliency", explainers.Saliency()),
        ("integrated_gradients", explainers.IntegratedGradients(32)),
        ("occlusion", explainers.Occlusion(4, 2)),
    ],
)
def test_maps_are_those_of_captum(subject, method, reference):
    images, inference, explainer, logits = subject
    # The answer, and for every other image the runner-up.
    targets = np.argsort(-logits, axis=1)[np.arange(200), np.arange(200) % 2].astype(np.int64)
    wanted = reference(inference, images, targets)
    found = np.stack(
        [
            explainer(image, method, int(target)).attribution
            for image, target in zip(images, targets, strict=True)
        ]
    )
    assert found.dtype == np.float32
    correlations = [
        np.corrcoef(one.ravel(), other.ravel())[0, 1]
        for one, other in zip(found, wanted, strict=True)
    ]
    assert min(correlations) > 0.99
    # Where an input lies on the kink of a ReLU, rounding decides which side counts.
    np.testing.assert_allclose(found, wanted, atol=0.05 * np.abs(wanted).max())


def test_integrated_gradients_share_out_the_difference_to_a_blank_page(subject):
    images, inference, explainer, logits = subject
    with torch.inference_mode():
        blank = inference(torch.zeros(1, 28, 28)).numpy()[0]
    gaps = []
    for image, row in zip(images, logits, strict=True):
        target = int(row.argmax())
        found = explainer(image, "integrated_gradients", target)
        difference = abs(float(found.attribution.sum()) - (row[target] - blank[target]))
        assert found.completeness_gap == pytest.approx(difference, abs=1e-3)
        gaps.append(found.completeness_gap)
    assert np.median(gaps) < 0.02 * np.median(np.abs(logits.max(axis=1) - blank.max()))


def test_only_integrated_gradients_have_a_gap(subject):
    images, _, explainer, _ = subject
    assert explainer(images[0], "saliency", 1).completeness_gap is None
    assert explainer(images[0], "occlusion", 1).completeness_gap is None
