"""Folding batch normalisation changes nothing but the number of passes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from digits.models.folding import folded
from digits.models.networks import Cnn, Mlp, ResNet


def _used(network: nn.Module) -> nn.Module:
    """Give the batch normalisations statistics that are not those of their first day."""
    torch.manual_seed(0)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(16, 1, 28, 28) * 2 + 1)
        for name, weights in network.named_parameters():
            if weights.dim() == 1:
                weights.add_(torch.randn_like(weights) * 0.2)
                assert name
    return network


@pytest.mark.parametrize(
    "network",
    [
        Cnn([4, 8], dropout=0.3, hidden=16),
        Mlp([16, 8], dropout=0.3),
        ResNet([4, 8], depth=1, dropout=0.3),
    ],
    ids=lambda network: type(network).__name__,
)
def test_logits_stay_and_no_normalisation_is_left(network: nn.Module) -> None:
    network = _used(network)
    before = copy.deepcopy(network.state_dict())
    images = torch.randn(5, 1, 28, 28)

    fast = folded(network)

    assert not any(isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d) for each in fast.modules())
    assert not fast.training
    assert not any(weights.requires_grad for weights in fast.parameters())
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with torch.no_grad():
        torch.testing.assert_close(fast(images), network.eval()(images), atol=1e-4, rtol=1e-4)


def test_normalisation_that_follows_no_layer_is_kept() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2))
    network = _used(network)
    images = torch.randn(2, 1, 28, 28)

    fast = folded(network)

    assert sum(isinstance(each, nn.BatchNorm2d) for each in fast.modules()) == 2
    torch.testing.assert_close(fast(images), network.eval()(images))
