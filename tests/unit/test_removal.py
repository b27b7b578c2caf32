"""Deletion, insertion and infidelity against their definitions and against Captum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.metrics import infidelity

from digits.evaluation.classify import torch_classifier
from digits.evaluation.explainers import InputXGradient, Saliency
from digits.evaluation.removal import STEPS, Removals, curves
from tests.unit.explained import small, weighted


@pytest.fixture(name="judged")
def _judged(digits):
    network = small()
    return network, torch_classifier(network), digits.test.images[:6], digits.test.labels[:6]


def test_known_weights_foretell_every_drop(digits):
    network, weights = weighted()
    images, targets = digits.test.images[:5], digits.test.labels[:5]
    removals = Removals.draw(torch_classifier(network), images, targets, seed=0)
    slope = weights[targets]
    assert removals.infidelity(slope, multiplies_by_inputs=False) == pytest.approx(0, abs=1e-6)
    ink = images * slope
    assert removals.infidelity(ink, multiplies_by_inputs=True) == pytest.approx(0, abs=1e-6)
    assert removals.infidelity(-7 * ink, multiplies_by_inputs=True) == pytest.approx(0, abs=1e-6)
    noise = np.random.default_rng(0).standard_normal(images.shape)
    assert removals.infidelity(noise, multiplies_by_inputs=True) > 0.5


@pytest.mark.parametrize("explainer", [Saliency(), InputXGradient()], ids=["local", "global"])
def test_infidelity_is_captums(judged, explainer):
    network, classify, images, targets = judged
    maps = explainer(network, images, targets)
    removals = Removals.draw(classify, images, targets, seed=1, count=8)
    places = np.zeros((len(images), 8, 28, 28), np.float32)
    for image, squares in enumerate(removals.squares):
        for number, (top, bottom, left, right) in enumerate(squares):
            places[image, number, top:bottom, left:right] = 1
    removed = torch.from_numpy(places).flatten(0, 1)

    def perturb(inputs):
        weights = (inputs > 0).float() if explainer.multiplies_by_inputs else inputs / 255
        return removed * weights, inputs * (1 - removed)

    theirs = infidelity(
        network,
        perturb,
        torch.from_numpy(images).float(),
        torch.from_numpy(maps),
        target=torch.from_numpy(targets),
        n_perturb_samples=8,
        normalize=True,
    )
    ours = removals.infidelity(maps, multiplies_by_inputs=explainer.multiplies_by_inputs)
    expected = theirs.sum().item() / (removals.drops**2).mean(1).sum()
    assert ours == pytest.approx(expected, rel=1e-3)


def test_map_that_says_nothing_foretells_nothing(judged):
    _, classify, images, targets = judged
    removals = Removals.draw(classify, images, targets, seed=0)
    zeros = np.zeros(images.shape, np.float32)
    assert removals.infidelity(zeros, multiplies_by_inputs=True) == 1


def test_blank_page_has_nothing_to_remove(judged):
    _, classify, images, targets = judged
    blank = np.zeros_like(images)
    removals = Removals.draw(classify, blank, targets, seed=0)
    assert np.isnan(removals.infidelity(images.astype(np.float32), multiplies_by_inputs=True))


def test_squares_lie_around_ink_and_inside_the_image(judged):
    _, classify, images, targets = judged
    squares = Removals.draw(classify, images, targets, seed=0).squares
    top, bottom, left, right = np.moveaxis(squares, -1, 0)
    assert (top >= 0).all() and (top < bottom).all() and (bottom <= 28).all()
    assert (left >= 0).all() and (left < right).all() and (right <= 28).all()
    for image, mine in zip(images, squares, strict=True):
        assert all(image[t:b, u:v].any() for t, b, u, v in mine)


def test_curves_go_from_the_image_to_the_blank_page_and_back(judged):
    _, classify, images, targets = judged
    rows = np.arange(len(images))

    def probability(pixels):
        return torch.softmax(torch.from_numpy(classify(pixels)), 1).numpy()[rows, targets].mean()

    found = curves(classify, images, targets, images.astype(np.float32), seed=0)
    whole, blank = probability(images), probability(np.zeros_like(images))
    assert len(found.deletion) == len(found.insertion) == STEPS + 1
    assert found.deletion[[0, -1]] == pytest.approx([whole, blank], rel=1e-4)
    assert found.insertion[[0, -1]] == pytest.approx([blank, whole], rel=1e-4)


def test_curves_remove_what_the_map_ranks_first(judged):
    _, classify, images, targets = judged
    asked = []

    def listening(pixels):
        asked.append(pixels)
        return classify(pixels)

    ranks = np.arange(784, 0, -1, dtype=np.float32).reshape(1, 28, 28)
    curves(listening, images[:1], targets[:1], ranks, seed=0)
    deleted, inserted = asked[0].reshape(2, STEPS + 1, 784)
    for step in (0, 1, 20, STEPS):
        cut = 16 * step
        assert not deleted[step, :cut].any() and not inserted[step, cut:].any()
        assert np.array_equal(deleted[step, cut:], images[0].ravel()[cut:])
        assert np.array_equal(inserted[step, :cut], images[0].ravel()[:cut])


def test_right_order_beats_the_wrong_one(digits):
    network, weights = weighted()
    images, targets = digits.test.images[:10], digits.test.labels[:10]
    maps = images * weights[targets]
    right = curves(torch_classifier(network), images, targets, maps, seed=0)
    wrong = curves(torch_classifier(network), images, targets, -maps, seed=0)
    assert right.deletion_area < wrong.deletion_area
    assert right.insertion_area > wrong.insertion_area


def test_equal_values_come_in_an_order_drawn_by_the_seed(judged):
    _, classify, images, targets = judged
    flat = np.zeros(images.shape, np.float32)
    first, same, other = (
        curves(classify, images, targets, flat, seed=seed).deletion for seed in (0, 0, 1)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
