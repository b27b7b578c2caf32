"""A pool as a network sees it: the answers it gives, the draws its dropout allows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from digits.active.scoring import scored
from digits.models.inference import Inference
from digits.models.networks import Cnn, LeNet


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 255, (301, 28, 28), dtype=np.uint8)


def network(dropout=0.5):
    torch.manual_seed(0)
    return Inference(Cnn([4, 8], depth=1, dropout=dropout), mean=0.13, std=0.31)


def test_probabilities_are_those_of_the_network_at_rest(images):
    model = network().train()
    found = scored(model, images)
    assert model.training
    with torch.inference_mode():
        expected = model.eval()(torch.from_numpy(images)).softmax(1)
    assert np.allclose(found.probabilities, expected.numpy(), atol=1e-5)
    assert found.draws is found.embeddings is None


def test_a_draw_is_one_network_for_all_samples(images):
    everything = {"draws", "embeddings"}
    model = network()
    seen = scored(
        model,
        np.concatenate([images, images]),
        needs=everything,
        draws=200,
        generator=torch.Generator().manual_seed(1),
    )
    assert np.allclose(seen.draws[:301], seen.draws[301:], atol=1e-5)
    assert np.allclose(seen.embeddings[:301], seen.embeddings[301:], atol=1e-5)
    assert seen.draws.std(axis=1).mean() > 0.001  # and they differ among each other
    assert np.abs(seen.draws.mean(axis=1) - seen.probabilities).mean() < 0.001


def test_a_draw_is_what_the_network_says_with_those_units_left_out(images):
    model = network()
    found = scored(
        model,
        images,
        needs={"draws", "embeddings"},
        draws=3,
        generator=torch.Generator().manual_seed(1),
    )
    width = found.embeddings.shape[1]
    kept = torch.rand(3, width, generator=torch.Generator().manual_seed(1)) >= 0.5
    last = model.network.head[-1]
    with torch.inference_mode():
        inputs = torch.from_numpy(found.embeddings) * kept[1] * 2
        expected = last(inputs).softmax(1).numpy()
    assert np.allclose(found.draws[:, 1], expected, atol=1e-5)


@pytest.mark.parametrize("model", [network(dropout=0.0), LeNet()], ids=["none", "elsewhere"])
def test_a_network_without_dropout_before_its_last_layer_has_no_draws(model, images):
    wrapped = model if isinstance(model, Inference) else Inference(model, mean=0.13, std=0.31)
    assert scored(wrapped, images, needs={"draws"}).draws is None


def test_the_same_generator_gives_the_same_draws(images):
    one, same, other = (
        scored(
            network(), images, needs={"draws"}, generator=torch.Generator().manual_seed(seed)
        ).draws
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
