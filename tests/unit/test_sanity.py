"""The parameter-randomisation check: what it passes, and what it must not pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from digits.evaluation.explainers import Saliency
from digits.evaluation.sanity import (
    randomisation_similarity,
    randomised,
    rank_correlation,
    saliency,
    similarity,
    untrained_maps,
)
from tests.unit.explained import small, weighted


def test_saliency_is_captums(digits):
    network, images, targets = small(), digits.test.images[:7], digits.test.labels[:7]
    theirs = Saliency()(network, images, targets)
    np.testing.assert_allclose(saliency(network, images, targets), theirs, rtol=1e-3, atol=1e-6)


def test_map_of_the_image_alone_fails_and_one_of_the_weights_passes(digits):
    network, _ = weighted()
    images, targets = digits.test.images[:20], digits.test.labels[:20]

    def image_itself(network, images, targets):
        return images.astype(np.float32)

    options = {"images": images, "targets": targets, "seed": 0}
    assert randomisation_similarity(network, explain=image_itself, **options) == pytest.approx(1)
    assert randomisation_similarity(network, **options) < 0.1


def test_randomised_copy_has_learned_nothing_and_the_network_is_left_alone():
    network = small()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    other = randomised(network, seed=0).state_dict()
    convolutions = [name for name, value in before.items() if value.ndim == 4]
    assert convolutions
    for name in convolutions:
        assert abs(np.corrcoef(other[name].flatten(), before[name].flatten())[0, 1]) < 0.5
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    again = randomised(network, seed=0).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in other.items())


def test_running_statistics_are_learned_too():
    normalised = nn.BatchNorm2d(2)
    normalised.running_mean += 5
    assert not randomised(normalised, seed=0).running_mean.any()


def test_bare_weights_are_shuffled():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = nn.Parameter(torch.arange(100.0))

    weights = randomised(Bare(), seed=0).weights
    assert not torch.equal(weights, torch.arange(100.0))
    assert torch.equal(weights.sort().values, torch.arange(100.0))


def test_rank_correlation_is_scipys():
    random = np.random.default_rng(0)
    first, second = random.integers(0, 9, (2, 5, 28, 28)).astype(np.float32)
    expected = [
        spearmanr(mine.ravel(), other.ravel()).statistic
        for mine, other in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(rank_correlation(first, second), expected)
    half = np.zeros(first.shape, bool)
    half[:, :14] = True
    mine = rank_correlation(first, second, half)
    np.testing.assert_allclose(mine, rank_correlation(first[:, :14], second[:, :14]))


def test_maps_without_contrast_cannot_be_compared():
    flat = np.zeros((2, 28, 28), np.float32)
    other = np.random.default_rng(0).random((2, 28, 28), np.float32)
    assert np.isnan(similarity(flat, other))
    flat[1] = other[1]
    assert similarity(flat, other) == pytest.approx(1)


def test_untrained_maps_come_of_ten_networks_in_the_order_of_the_images(digits):
    network, images, targets = small(), digits.test.images[:25], digits.test.labels[:25]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    seen = []

    def explain(network, images, targets):
        seen.append(next(network.parameters()).flatten()[0].item())
        return images.astype(np.float32)

    maps = untrained_maps(network, images, targets, seed=1, explain=explain)
    assert np.array_equal(maps, images)
    assert len(set(seen)) == 10
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
