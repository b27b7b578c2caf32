"""One function for either runtime, and how far two of them agree."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from digits.evaluation import classify as module
from digits.evaluation.classify import Compared, onnx_classifier, torch_classifier
from digits.evaluation.latency import latency
from digits.models.inference import Inference
from tests.integration.conftest import STANDARD


@pytest.fixture
def by_torch(network):
    return torch_classifier(Inference(network, mean=STANDARD.mean, std=STANDARD.std))


def test_both_runtimes_give_the_same_logits(graph, by_torch, digits):
    by_onnx = onnx_classifier(graph)
    for images in (digits.test.images, digits.test.images[:1], digits.test.images[:0]):
        ours, theirs = by_onnx(images), by_torch(images)
        assert ours.shape == theirs.shape == (len(images), 10)
        assert ours.dtype == theirs.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_batches_are_put_together_in_order(graph, by_torch, digits, monkeypatch):
    whole = onnx_classifier(graph)(digits.test.images)
    monkeypatch.setattr(module, "BATCH", 7)
    for classify in (onnx_classifier(graph), by_torch):
        np.testing.assert_allclose(classify(digits.test.images), whole, rtol=1e-4, atol=1e-4)


def test_view_with_strides_is_classified_as_its_copy(by_torch, digits):
    flipped = digits.test.images[:, :, ::-1]
    np.testing.assert_array_equal(by_torch(flipped), by_torch(flipped.copy()))


def test_network_answers_in_evaluation_mode_and_keeps_its_own():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(10), torch.nn.Dropout())
    model = Inference(network, mean=0.0, std=1.0)
    images = np.full((4, 28, 28), 200, np.uint8)
    classify = torch_classifier(model.train())
    np.testing.assert_array_equal(classify(images), classify(images))
    assert network.training


def test_graph_is_run_without_torch(graph):
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from digits.evaluation.classify import onnx_classifier\n"
        "print(onnx_classifier(Path(sys.argv[1]))(np.zeros((1, 28, 28), np.uint8)).shape)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(graph)], capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["(1, 10)", "False"], done.stderr


def test_comparison_answers_as_the_first_and_counts_every_difference():
    def answer(images, column):
        logits = np.zeros((len(images), 10), np.float32)
        logits[np.arange(len(images)), column] = 3
        return logits

    first = lambda images: answer(images, 2)  # noqa: E731
    second = lambda images: answer(images, np.where(images[:, 0, 0] > 0, 5, 2))  # noqa: E731
    compared = Compared(first, second)
    images = np.zeros((6, 28, 28), np.uint8)
    compared(images)
    assert compared.agreement == module.Agreement(6, 0, 0.0)
    images[:2] = 255
    np.testing.assert_array_equal(compared(images), first(images))
    assert compared.agreement == module.Agreement(12, 2, 3.0)


def test_latency_is_of_one_image_at_a_time():
    asked = []

    def classify(images):
        asked.append(images.shape)
        return np.zeros((len(images), 10), np.float32)

    found = latency(classify, np.zeros((28, 28), np.uint8), repeats=40)
    assert set(asked) == {(1, 28, 28)}
    assert len(asked) >= 40
    assert 0 < found.median_seconds <= found.p95_seconds
