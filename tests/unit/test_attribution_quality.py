"""Figures of whole methods: against Captum, on known explanations, on maps of zeros."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from captum.metrics import sensitivity_max

from digits.evaluation.attribution_quality import (
    INK,
    RADIUS,
    RANDOM,
    completeness_gap,
    judge,
    max_sensitivity,
)
from digits.evaluation.classify import torch_classifier
from digits.evaluation.explainers import Explainer, InputXGradient, IntegratedGradients, Saliency
from tests.unit.explained import small, weighted


class Silent(Explainer):
    """Maps of zeros."""

    multiplies_by_inputs = True
    is_complete = True

    def attribute(self, network, pixels, targets):
        return torch.zeros_like(pixels)


def test_max_sensitivity_is_captums(digits):
    network, images, targets = small(), digits.test.images[:5], digits.test.labels[:5]
    explainer = InputXGradient()
    maps = explainer(network, images, targets)
    random = np.random.default_rng(4)
    changes = [random.uniform(-RADIUS, RADIUS, images.shape).astype(np.float32) for _ in range(3)]
    given = iter(changes)
    theirs = [
        sensitivity_max(
            lambda inputs: (torch.from_numpy(explainer(network, inputs[0].numpy(), targets)),),
            torch.from_numpy(images).float(),
            perturb_func=lambda pixels, radius: (pixels + torch.from_numpy(next(given)),),
            n_perturb_samples=1,
        ).numpy()
        for _ in changes
    ]
    ours = max_sensitivity(explainer, network, images, targets, maps, seed=4, perturbations=3)
    assert ours == pytest.approx(np.max(theirs, axis=0).mean(), rel=1e-3)


def test_completeness_gap_is_what_is_missing(digits):
    network, weights = weighted()
    images, targets = digits.test.images[:5], digits.test.labels[:5]
    whole = images * weights[targets]
    classify = torch_classifier(network)
    assert completeness_gap(classify, images, targets, whole) == pytest.approx(0, abs=1e-5)
    assert completeness_gap(classify, images, targets, 0.75 * whole) == pytest.approx(0.25)
    assert math.isnan(completeness_gap(classify, 0 * images, targets, whole))


def test_every_method_and_both_controls_are_judged(digits):
    methods = {"ours": IntegratedGradients(8), "plain": Saliency()}
    images, targets = digits.test.images[:10], digits.test.labels[:10]
    found = judge(small(), methods, images, targets, seed=0)
    assert list(found.qualities) == list(found.curves) == ["ours", "plain", RANDOM, INK]
    assert found.count == 10
    figures = {name: set(quality.metrics()) for name, quality in found.qualities.items()}
    control = {"deletion", "insertion", "infidelity"}
    every = control | {"max_sensitivity", "similarity", "similarity_on_ink", "zero", "seconds"}
    assert figures == {
        "ours": every | {"completeness_gap"},
        "plain": every,
        RANDOM: control,
        INK: control,
    }
    assert found.qualities["ours"].infidelity < found.qualities[RANDOM].infidelity


def test_judging_twice_gives_the_same(digits):
    images, targets = digits.test.images[:6], digits.test.labels[:6]
    first, second = (
        judge(small(), {"it": Saliency()}, images, targets, seed=0).qualities["it"].metrics()
        for _ in range(2)
    )
    del first["seconds"], second["seconds"]
    assert first == second


def test_maps_of_zeros_are_judged_for_what_they_are(digits):
    images, targets = digits.test.images[:10], digits.test.labels[:10]
    quality = judge(small(), {"silent": Silent()}, images, targets, seed=0).qualities["silent"]
    assert quality.zero == 1
    assert quality.infidelity == 1
    assert quality.completeness_gap == 1
    assert math.isnan(quality.max_sensitivity)
    assert math.isnan(quality.similarity)
    assert "similarity" not in quality.metrics()
