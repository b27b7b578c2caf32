"""One suite that every way of choosing samples passes, and what each is for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from digits.active.acquisition import Acquisition
from digits.active.disagreement import Bald, BatchBald
from digits.active.geometry import Badge, CoreSet
from digits.active.pointwise import (
    Entropy,
    LeastConfidence,
    Margin,
    Random,
    VariationRatios,
)
from digits.active.pool import Scored
from tests.unit.acquiring import at, choose, pool

ALL: tuple[Acquisition, ...] = (
    Random(),
    LeastConfidence(),
    Margin(),
    Margin(shortlist=5),
    Entropy(),
    VariationRatios(),
    Bald(),
    BatchBald(),
    BatchBald(combinations=100),
    CoreSet(),
    Badge(),
)
#: whose choice is the pool's, whatever its order and the seed, where no two samples are equal
ORDERLY = (
    LeastConfidence(),
    Margin(),
    Margin(shortlist=5),
    Entropy(),
    Bald(),
    BatchBald(),
    CoreSet(),
)
UNCERTAIN = tuple(each for each in ALL if each.name not in ("random", "coreset"))


def named(method: Acquisition) -> str:
    return f"{method.name}-{getattr(method, 'shortlist', getattr(method, 'combinations', ''))}"


every = pytest.mark.parametrize("method", ALL, ids=named)


@every
def test_a_choice_is_distinct_places_of_the_pool_with_a_score_each(method):
    chosen = choose(method, pool(), 12)
    assert chosen.indices.dtype == np.int64
    assert chosen.scores.dtype == np.float32
    assert chosen.indices.shape == chosen.scores.shape == (12,)
    assert len(set(chosen.indices.tolist())) == 12
    assert 0 <= chosen.indices.min() <= chosen.indices.max() < 60
    assert np.isfinite(chosen.scores).all()


@every
def test_the_same_generator_chooses_the_same(method):
    first, second = choose(method, pool(), 12), choose(method, pool(), 12)
    assert first.indices.tolist() == second.indices.tolist()
    assert first.scores.tolist() == second.scores.tolist()


@every
def test_the_pool_is_left_as_it_is(method):
    samples = pool()
    before = [values.copy() for values in (samples.probabilities, samples.draws)]
    embeddings = samples.embeddings.copy()
    choose(method, samples, 12)
    after = (samples.probabilities, samples.draws)
    assert all(np.array_equal(*each) for each in zip(before, after, strict=True))
    assert np.array_equal(embeddings, samples.embeddings)


@every
@pytest.mark.parametrize("count", [60, 61, 1000])
def test_more_than_there_are_is_all_of_them(method, count):
    assert sorted(choose(method, pool(), count).indices.tolist()) == list(range(60))


@every
def test_of_one_sample_that_one_is_chosen(method):
    assert choose(method, pool(1), 3).indices.tolist() == [0]


@every
def test_none_of_something_and_any_of_nothing_are_none(method):
    assert len(choose(method, pool(), 0)) == 0
    assert len(choose(method, pool(0), 3)) == 0


@every
def test_fewer_than_none_are_refused(method):
    with pytest.raises(ValueError, match="count: -1 samples"):
        choose(method, pool(), -1)


@every
def test_of_copies_each_is_chosen_once_and_the_generator_decides(method):
    copies = at(pool(), np.zeros(40, np.int64))
    firsts = set()
    for seed in range(8):
        chosen = choose(method, copies, 40, seed)
        assert sorted(chosen.indices.tolist()) == list(range(40))
        assert np.isfinite(chosen.scores).all()
        firsts.add(int(chosen.indices[0]))
    assert len(firsts) > 2


@every
def test_a_model_that_is_sure_of_all_still_has_a_choice(method):
    sure = np.zeros((30, 10), np.float32)
    sure[np.arange(30), np.arange(30) % 10] = 1
    embeddings = pool(30).embeddings
    chosen = choose(method, Scored(sure, np.repeat(sure[:, None], 4, axis=1), embeddings), 12)
    assert len(set(chosen.indices.tolist())) == 12
    assert np.isfinite(chosen.scores).all()


@pytest.mark.parametrize("method", ORDERLY, ids=named)
def test_the_order_of_the_pool_does_not_matter(method):
    samples = pool()
    order = np.random.default_rng(7).permutation(60)
    there = choose(method, samples, 4)
    elsewhere = choose(method, at(samples, order), 4, seed=2)
    assert order[elsewhere.indices].tolist() == there.indices.tolist()
    np.testing.assert_allclose(elsewhere.scores, there.scores, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", UNCERTAIN, ids=named)
def test_the_one_that_a_model_is_torn_about_comes_first(method):
    random = np.random.default_rng(3)
    plain = np.full((50, 6, 10), 0.001, np.float32)
    plain[:, :, 4] = 0.991
    plain[17, ::2] = plain[17, ::2][:, [4, *range(1, 4), 0, *range(5, 10)]]  # half of them say 0
    embeddings = 1 + random.random((50, 5), dtype=np.float32)
    samples = Scored(plain.mean(axis=1), plain, embeddings)
    assert choose(method, samples, 3).indices[0] == 17


@every
def test_a_pool_that_lacks_what_is_needed_is_refused(method):
    bare = Scored(pool().probabilities)
    if not method.needs:
        assert len(choose(method, bare, 3)) == 3
        return
    (need,) = method.needs
    with pytest.raises(ValueError, match=f"acquisition: {method.name} needs {need}"):
        choose(method, bare, 3)


def test_a_score_that_is_pointwise_falls_along_the_choice():
    for method in (Random(), LeastConfidence(), Margin(), Entropy(), VariationRatios(), Bald()):
        scores = choose(method, pool(), 20).scores
        assert (np.diff(scores) <= 0).all(), method.name


@pytest.mark.parametrize("part", ["probabilities", "draws", "embeddings"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_with_how_many(part, value):
    samples = pool()
    spoilt = getattr(samples, part).copy()
    spoilt[3, ..., 0] = spoilt[5, ..., 1] = value
    with pytest.raises(ValueError, match=f"{part}: 2 of 60 samples have values that are not fin"):
        replace(samples, **{part: spoilt})


@pytest.mark.parametrize(
    ("part", "shape", "message"),
    [
        ("probabilities", (60,), "probabilities: shape"),
        ("draws", (60, 10), r"draws: shape \[60, 10\] where \[60, any, 10\] is needed"),
        ("draws", (60, 8, 9), "draws: shape"),
        ("draws", (59, 8, 10), "draws: shape"),
        ("embeddings", (59, 16), "embeddings: shape"),
        ("labelled", (5, 15), "labelled: shape"),
    ],
)
def test_shapes_that_do_not_belong_together_are_refused(part, shape, message):
    with pytest.raises(ValueError, match=message):
        replace(pool(), **{part: np.full(shape, 0.1, np.float32)})


@pytest.mark.parametrize("wrong", [-0.1, 0.4])
def test_what_is_no_distribution_is_refused(wrong):
    probabilities = np.full((4, 10), 0.1, np.float32)
    probabilities[2, 1] = wrong
    with pytest.raises(ValueError, match="probabilities: each distribution"):
        Scored(probabilities)
