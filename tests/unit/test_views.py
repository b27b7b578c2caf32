"""A model asked about many images: part by part, by graph or by network, the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from digits.active.views import PART, Graph, Network, quickened, steps, view
from digits.config.instantiate import instantiate
from digits.models.inference import Inference
from digits.models.networks import Cnn
from digits.training.export import to_onnx

MODELS = Path(__file__).resolve().parents[2] / "conf" / "model"
EVERYTHING = frozenset({"draws", "embeddings"})


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 255, (PART + 7, 28, 28), dtype=np.uint8)


def network():
    torch.manual_seed(0)
    return Inference(Cnn([4, 8], depth=1, dropout=0.5), mean=0.13, std=0.31).eval()


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    file = tmp_path_factory.mktemp("graph") / "model.onnx"
    to_onnx(network().network, mean=0.13, std=0.31, file=file)
    return file.read_bytes()


def test_graph_and_network_say_the_same_with_their_temperature(graph, images):
    some = images[:50]
    cold, hot = Graph(graph)(some), Graph(graph, 3.0)(some)
    asked = Network(quickened(network(), 3.0), EVERYTHING, draws=4, seed=0)(some)
    assert np.allclose(hot.probabilities, asked.probabilities, atol=1e-5)
    assert hot.probabilities.max() < cold.probabilities.max()
    assert cold.draws is cold.embeddings is None


@pytest.mark.parametrize("name", ["cnn", "lenet", "linear", "mlp", "resnet", "tiny"])
def test_a_network_that_is_quickened_answers_the_same(name, images):
    torch.manual_seed(1)
    model = Inference(instantiate(OmegaConf.load(MODELS / f"{name}.yaml")), mean=0.13, std=0.31)
    pixels = torch.from_numpy(images[:64])
    with torch.inference_mode():
        for _ in range(5):
            model.train()(pixels)  # normalisations that do something
        expected = model.eval()(pixels)
        found = quickened(model, 2.0)(pixels)
    assert not any("BatchNorm" in type(each).__name__ for each in model.modules())
    assert torch.allclose(2 * found, expected, atol=1e-3)


def test_parts_are_those_of_the_whole_and_of_the_same_draws(images):
    asked = Network(network(), EVERYTHING, draws=4, seed=5)
    told: list[str] = []
    found = view(asked, images, step=told.append)
    assert len(told) == steps(images) == 2
    assert told[-1] == f"{PART + 7:,} of {PART + 7:,} images"
    again = asked(images[-7:])
    assert np.allclose(found.draws[-7:], again.draws, atol=1e-5)
    assert np.allclose(found.embeddings[-7:], again.embeddings, atol=1e-3)
    assert found.probabilities.shape == (PART + 7, 10)


def test_long_embeddings_keep_their_distances(images):
    asked = Network(network(), frozenset({"embeddings"}), draws=2, seed=0)
    some = images[:40]
    short = asked(some).embeddings
    with torch.inference_mode():
        inside = network()
        whole = inside.network.features(
            (torch.from_numpy(some).float().unsqueeze(1) / 255 - 0.13) / 0.31
        ).flatten(1)
    whole = whole.numpy()
    assert short.shape == (40, 256) and whole.shape[1] > 1000
    near, far = (
        np.linalg.norm(each[:, None] - each, axis=2)[np.triu_indices(40, 1)]
        for each in (short, whole)
    )
    assert np.allclose(near / far, 1, atol=0.25)
    assert (near / far).mean() == pytest.approx(1, abs=0.05)


def test_images_that_may_not_be_written_are_read_without_a_warning(images):
    fixed = np.frombuffer(images[:5].tobytes(), np.uint8).reshape(5, 28, 28)
    assert len(Network(network(), EVERYTHING, draws=2, seed=0)(fixed)) == 5
