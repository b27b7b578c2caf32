"""Active learning on drawn bars: rounds that add up, and go on as if nothing had happened."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import pytorch_lightning as pl

from digits.active.disagreement import BatchBald
from digits.active.geometry import Badge, CoreSet
from digits.active.pointwise import Margin, Random
from digits.active.rounds import Curve, Kept
from digits.active.simulation import NOISE, Learner, Simulation, repeated
from digits.data.loading import DigitDataModule
from digits.errors import ConfigError, DataError
from digits.models.networks import Cnn
from tests.unit.fitting import classifier, shifted


@pytest.fixture
def simulation(digits, tmp_path):
    def simulation(acquisition=None, data=digits, seed=3, per_round=10):
        loaders = functools.partial(
            DigitDataModule,
            augmentation=shifted,
            batch_size=32,
            num_workers=0,
            seed=seed,
            epoch_size=256,
        )
        trainer = functools.partial(pl.Trainer, max_epochs=2, accelerator="cpu", devices=1)
        learner = Learner(loaders, classifier(), trainer, tmp_path, seed)
        return Simulation(data, learner, acquisition or Margin(), per_round, draws=3, seed=seed)

    return simulation


def begun(simulation, count=20):
    first = tuple(simulation.first(count).tolist())
    return Curve(acquisition="margin", seed=3, commit="c0ffee", initial=first)


def last(curves):
    return list(curves)[-1]


def told(curve):
    """What of a curve is not time."""
    return [(each.labels, each.accuracy, each.chosen) for each in curve.rounds]


def test_each_round_labels_more_and_nothing_twice(simulation, digits):
    made = simulation()
    curves = list(made.run(begun(made), until=45))
    assert [len(curve.rounds) for curve in curves] == [1, 2, 3, 4]
    curve = curves[-1]
    assert [each.labels for each in curve.rounds] == [20, 30, 40, 45]
    assert curve.rounds[-1].chosen == ()
    assert len(set(curve.labelled.tolist())) == 45
    assert np.bincount(digits.train.labels[list(curve.initial)]).tolist() == [2] * 10
    assert curve.rounds[-1].accuracy > max(0.3, curve.rounds[0].accuracy - 0.1)


@pytest.mark.parametrize(
    "acquisition", [Random(), BatchBald(), Badge(), CoreSet()], ids=lambda each: each.name
)
def test_a_killed_simulation_goes_on_as_it_would_have(simulation, tmp_path, acquisition):
    whole = simulation(acquisition)
    expected = last(whole.run(begun(whole), until=40))
    kept, broken = Kept(tmp_path / "kept"), simulation(acquisition)
    kept.write("margin-1", next(broken.run(begun(broken), until=40)))
    again = simulation(acquisition)
    assert told(last(again.run(kept.read("margin-1", 3), until=40))) == told(expected)


def test_a_finished_simulation_goes_on_to_more_labels(simulation):
    made = simulation()
    short = last(made.run(begun(made), until=30))
    assert list(made.run(short, until=30)) == []
    assert told(last(made.run(short, until=40))) == told(last(made.run(begun(made), until=40)))


def test_a_pool_that_is_used_up_ends_it(simulation, digits):
    made = simulation(per_round=150)
    curve = last(made.run(begun(made), until=10_000))
    assert [each.labels for each in curve.rounds] == [20, 170, 300]
    assert sorted(curve.labelled.tolist()) == list(range(300))


def test_a_method_that_a_model_does_not_suit_is_named(simulation):
    made = simulation(BatchBald())
    learner = dataclasses.replace(
        made.learner, classifier=classifier(network=Cnn([4], depth=1, dropout=0.0))
    )
    unsuited = dataclasses.replace(made, learner=learner)
    with pytest.raises(ConfigError, match="acquisition  batchbald needs draws"):
        next(unsuited.run(begun(made), until=30))


def test_each_training_begins_with_the_same_weights(simulation, digits):
    learner = simulation().learner
    one, two = (learner.learn(digits) for _ in range(2))
    assert one is not two is not learner.classifier
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    assert all((first == second).all() for first, second in pairs)


def test_repeated_samples_differ_by_a_little_noise(digits):
    many = repeated(digits.train, 3, seed=0)
    assert len(many) == 900
    assert np.array_equal(many.labels, np.tile(digits.train.labels, 3))
    copies = many.images.reshape(3, 300, 28, 28).astype(float)
    inside = (digits.train.images > 40) & (digits.train.images < 200)
    differences = (copies - digits.train.images)[:, inside]
    assert abs(differences.std() - NOISE) < 0.2 and abs(differences.mean()) < 0.1
    assert not np.array_equal(copies[0], copies[1])
    assert np.array_equal(many.images, repeated(digits.train, 3, seed=0).images)


def test_damaged_rounds_are_named(simulation, tmp_path):
    kept, made = Kept(tmp_path), simulation()
    assert kept.read("margin-1", 3) is None
    assert kept.all() == {}
    kept.write("margin-1", begun(made))
    assert kept.read("margin-1", 3) == begun(made)
    assert kept.all() == {}  # one that has no round yet
    file = kept.file("margin-1", 3)
    file.write_text(file.read_text()[:-30])
    with pytest.raises(DataError, match=r"margin-1-3\.json is damaged .* remove it"):
        kept.read("margin-1", 3)
