"""Which digits are explained, which methods can, and what is kept of their maps."""

from __future__ import annotations

import numpy as np
import pytest

from digits.data.types import Split
from digits.errors import ExplanationError
from digits.evaluation import explainers
from digits.evaluation.attribution_quality import sample
from digits.evaluation.explanations import Explanations, suited
from digits.evaluation.selection import numbered, picture, worst_mistakes
from tests.unit.explained import small, weighted

METHODS = {"saliency": explainers.Saliency(), "gradcam": explainers.GradCam()}


def _sure(answers, by):
    """Return a classifier that names ``answers[k]`` for image k, by a margin of ``by[k]``."""

    def classify(images):
        logits = np.zeros((len(images), 10), np.float32)
        logits[np.arange(len(images)), answers[: len(images)]] = by[: len(images)]
        return logits

    return classify


def test_worst_mistakes_are_the_surest_first(digits):
    test = digits.test.take(np.arange(6))
    answers = test.labels.copy()
    answers[[1, 3, 4]] = (answers[[1, 3, 4]] + 1) % 10
    chosen = worst_mistakes(test, 2, _sure(answers, np.array([9, 2, 9, 5, 3, 9])))
    assert chosen.indices.tolist() == [3, 4]
    assert chosen.answers.tolist() == answers[[3, 4]].tolist()
    assert chosen.title == "worst 2 of 3 mistakes on 6 digits"


def test_without_mistakes_the_least_sure_answers_are_chosen(digits):
    test = digits.test.take(np.arange(4))
    chosen = worst_mistakes(test, 2, _sure(test.labels, np.array([9, 2, 7, 3])))
    assert chosen.indices.tolist() == [1, 3]
    assert chosen.title == "no mistakes on 4 digits: the 2 least certain answers"


def test_captions_say_what_is_asked_and_what_is_known(digits):
    test = digits.test.take(np.arange(2))
    classify = _sure(np.array([4, 4]), np.array([50, 50]))
    known = numbered(test, [1], classify)
    assert known.captions(known.answers) == [f"#1: {test.labels[1]} read as 4\n100.0%"]
    other = known.captions(np.array([7]))
    assert other == [f"#1: {test.labels[1]} read as 4\n100.0%\nwhy 7? 0.0%"]
    unknown = picture(test.images[0], classify, title="mine.png")
    assert unknown.captions(unknown.answers) == ["read as 4\n100.0%"]


def test_index_beyond_the_digits_is_refused(digits):
    with pytest.raises(IndexError):
        numbered(digits.test, [len(digits.test)], _sure(np.array([0]), np.array([1])))


def test_methods_that_cannot_are_parted_from_those_that_can(digits):
    network, _ = weighted()
    fit, unfit = suited(network, METHODS, digits.test.images[0])
    assert list(fit) == ["saliency"]
    assert list(unfit) == ["gradcam"] and "no convolution" in unfit["gradcam"]
    assert suited(small(), METHODS, digits.test.images[0]) == (METHODS, {})
    with pytest.raises(ExplanationError, match="gradcam: the network has no convolution"):
        suited(network, {"gradcam": METHODS["gradcam"]}, digits.test.images[0])


def test_maps_of_zeros_are_counted():
    network, _ = weighted()
    images = np.zeros((2, 28, 28), np.uint8)
    images[1, 10:20, 14] = 255
    chosen = numbered(
        Split(images, np.zeros(2, np.int64)), [0, 1], _sure(np.array([1, 1]), np.array([1, 1]))
    )
    methods = {"ink": explainers.InputXGradient(), "slope": explainers.Saliency()}
    found = Explanations.make(network, methods, chosen, target=3)
    assert found.targets.tolist() == [3, 3]
    assert found.zero() == {"ink": 1}


def test_sample_is_drawn_by_the_seed_and_never_more_than_there_is(digits):
    first, same, other = (sample(digits.test, 20, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.images, same.images)
    assert not np.array_equal(first.images, other.images)
    assert len(sample(digits.test, 10_000, seed=0)) == len(digits.test)
