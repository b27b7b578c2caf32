"""What each way of choosing samples is for, held against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import entr

from digits.active.acquisition import Acquisition
from digits.active.disagreement import Bald, Batch, BatchBald, information
from digits.active.geometry import Badge, CoreSet, furthest
from digits.active.pointwise import (
    Entropy,
    LeastConfidence,
    Margin,
    Random,
    VariationRatios,
)
from digits.active.pool import Scored
from tests.unit.acquiring import at, choose, pool


def test_scores_are_those_of_their_definitions():
    samples = pool()
    given, drawn = samples.probabilities, samples.draws
    ordered = np.sort(given, axis=1)
    np.testing.assert_allclose(LeastConfidence().scores(samples), 1 - ordered[:, -1], atol=1e-6)
    margins = 1 - ordered[:, -1] + ordered[:, -2]
    np.testing.assert_allclose(Margin().scores(samples), margins, atol=1e-6)
    np.testing.assert_allclose(
        Entropy().scores(samples), -(given * np.log(given)).sum(axis=1), atol=1e-5
    )
    votes = [np.bincount(each, minlength=10).max() / 8 for each in drawn.argmax(axis=2)]
    np.testing.assert_allclose(VariationRatios().scores(samples), 1 - np.array(votes), atol=1e-6)
    told = entr(given).sum(axis=1) - entr(drawn).sum(axis=2).mean(axis=1)
    np.testing.assert_allclose(Bald().scores(samples), told, atol=1e-5)


def test_bald_prefers_draws_that_disagree_to_draws_that_doubt():
    sure = np.eye(10, dtype=np.float32)
    doubts = np.tile((sure[0] + sure[1]) / 2, (4, 1))
    disagree = sure[[0, 0, 1, 1]]
    drawn = np.stack([doubts, disagree])
    assert Bald().scores(Scored(drawn.mean(axis=1), drawn)).tolist() == pytest.approx(
        [0, np.log(2)], abs=1e-6
    )
    same = Entropy().scores(Scored(drawn.mean(axis=1)))
    assert same[0] == pytest.approx(same[1])


def joint_information(drawn: np.ndarray) -> float:
    """Mutual information of the labels of ``[B, K, C]`` together, every combination counted."""
    joint = np.ones((drawn.shape[1], 1))
    for sample in drawn.astype(np.float64):
        joint = (joint[:, :, None] * sample[:, None, :]).reshape(len(joint), -1)
    return float(entr(joint.mean(axis=0)).sum() - entr(drawn).sum(axis=2).mean(axis=1).sum())


def test_batchbald_takes_what_adds_most_to_all_that_is_told():
    samples = pool(25, draws=6)
    chosen = choose(BatchBald(), samples, 4)
    batch: list[int] = []
    for index, score in zip(chosen.indices, chosen.scores, strict=True):
        told = [joint_information(samples.draws[[*batch, each]]) for each in range(25)]
        before = joint_information(samples.draws[batch]) if batch else 0.0
        left = [each for each in range(25) if each not in batch]
        assert index == max(left, key=lambda each: told[each])
        assert score == pytest.approx(told[index] - before, abs=1e-4)
        batch.append(int(index))


def test_combinations_that_are_drawn_tell_nearly_what_all_of_them_do():
    samples = pool(40, draws=10)
    random = np.random.default_rng(0)
    whole = drawn = Batch.empty(10)
    for index in range(3):
        whole = whole.with_sample(samples.draws[index], 1000, random)
        drawn = drawn.with_sample(samples.draws[index], 200, random)
    assert len(drawn.weights) <= 200 < len(whole.weights)
    assert whole.weights.sum() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(
        drawn.entropy(samples.draws), whole.entropy(samples.draws), atol=0.02
    )


def test_batches_avoid_copies_where_each_sample_by_itself_does_not():
    samples = at(pool(40), np.repeat(np.arange(40), 5))  # each five times

    def different(method: Acquisition) -> int:
        return len(set((choose(method, samples, 5).indices // 5).tolist()))

    for method in (CoreSet(), Badge(), Margin(shortlist=20)):
        assert different(method) == 5, method.name
    assert different(Bald()) == different(Margin()) == 1
    assert different(BatchBald()) > 1  # what a copy tells is less than before, and not nothing


def test_coreset_leaves_what_is_close_to_labels_for_the_end():
    line = np.array([[0.0], [1.0], [2.0], [9.0], [10.0]], np.float32)
    samples = Scored(np.full((5, 10), 0.1, np.float32), embeddings=line, labelled=line[:1])
    chosen = choose(CoreSet(), samples, 5)
    assert chosen.indices.tolist()[:2] == [4, 2]
    assert chosen.scores.tolist() == pytest.approx([10, 2, 1, 1, 0], abs=1e-3)


def test_every_point_is_within_the_last_distance_of_a_centre():
    points = pool(200).embeddings
    chosen = furthest(points, 20, centres=points[:1], generator=np.random.default_rng(0))
    centres = np.concatenate([points[:1], points[chosen.indices]])
    apart = np.linalg.norm(points[:, None] - centres, axis=2).min(axis=1)
    assert apart.max() <= chosen.scores[-1] + 1e-3
    assert (np.diff(chosen.scores) <= 1e-4).all()


def test_badge_starts_with_the_longest_gradient_and_its_distances_are_those_of_gradients():
    samples = pool(30)
    chosen = choose(Badge(), samples, 6)
    errors = samples.probabilities - np.eye(10)[samples.probabilities.argmax(axis=1)]
    gradients = np.einsum("nc,nd->ncd", errors, samples.embeddings).reshape(30, -1)
    assert chosen.indices[0] == (gradients**2).sum(axis=1).argmax()
    for turn in range(1, 6):
        before = gradients[chosen.indices[:turn]]
        apart = ((gradients[chosen.indices[turn]] - before) ** 2).sum(axis=1).min()
        assert chosen.scores[turn] == pytest.approx(apart, rel=1e-3, abs=1e-3)


def test_badge_draws_in_proportion_to_squared_distance():
    far = np.zeros((3, 2), np.float32)
    far[:, 0] = [6, 1, -2]  # from the first: 25 and 64 times the same
    samples = Scored(np.tile(np.float32([0.6, 0.4]), (3, 1)), embeddings=far)
    seconds = [choose(Badge(), samples, 2, seed).indices.tolist() for seed in range(600)]
    assert {first for first, _ in seconds} == {0}
    assert np.mean([second == 2 for _, second in seconds]) == pytest.approx(64 / 89, abs=0.06)


def test_random_takes_each_as_often():
    taken = [choose(Random(), pool(10), 3, seed).indices for seed in range(500)]
    share = np.bincount(np.concatenate(taken), minlength=10) / 500
    assert share.min() > 0.2
    assert share.max() < 0.4


def test_information_is_never_below_nothing():
    drawn = np.repeat(pool().probabilities[:, None], 7, axis=1)
    assert information(drawn).min() >= 0
