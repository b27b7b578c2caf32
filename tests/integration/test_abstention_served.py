"""What is no digit is told from what is one, by a model of the scans and by one of MNIST.

At most 1 % of clean digits are refused; of blanks, noise, letters and scribbles 90 % are caught.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from digits.contract.manifest import ANSWER
from digits.contract.preprocessing import Preprocessing
from digits.errors import ExportError
from digits.training import novelty
from digits.training.export import open_graph, to_onnx
from digits.training.non_digits import Kind, non_digits, redrawn
from digits.training.novelty import answer_to_onnx
from tests.unit.non_digits import blanks, letters, noise, scribbles

STANDARD = Preprocessing()
NONE = {
    "blanks": blanks,
    "noise": lambda: noise(seed=5),
    "letters": letters,
    "scribbles": lambda: scribbles(seed=5),
}


def new(graph, images):
    """Novelty of images."""
    parts = np.array_split(images, len(images) // 500 + 1)
    return np.concatenate([graph.run(["novelty"], {"pixels": part})[0] for part in parts])


@pytest.fixture(scope="module")
def fitted(classifier_of_scans, scans, tmp_path_factory):
    """The answer graph of a small model of the scans, its file, and its threshold."""
    file = tmp_path_factory.mktemp("answer") / ANSWER
    abstention = answer_to_onnx(
        classifier_of_scans.network, STANDARD, scans, temperature=1.5, file=file
    )
    return open_graph(file), file, abstention


def test_few_clean_digits_are_refused(fitted, scans):
    graph, _, abstention = fitted
    for split in (scans.validation, scans.test):
        assert (new(graph, split.images) > abstention.threshold).mean() <= 0.01
    assert abstention.refused <= 0.01
    assert abstention.caught >= 0.9


def test_digits_drawn_otherwise_are_digits_too(fitted, scans):
    graph, _, abstention = fitted
    again = redrawn(scans.test.images, STANDARD, seed=7)
    assert (new(graph, again) > abstention.threshold).mean() <= 0.05


@pytest.mark.parametrize("kind", NONE)
def test_what_is_no_digit_is_caught(fitted, kind):
    graph, _, abstention = fitted
    assert (new(graph, NONE[kind]()) > abstention.threshold).mean() >= 0.9


def test_graph_of_another_network_is_refused(classifier_of_scans, scans, tmp_path, monkeypatch):
    def other(*arguments, **options):
        probabilities, novelty = answers(*arguments, **options)
        return probabilities[:, ::-1], novelty

    answers = novelty._answers
    monkeypatch.setattr(novelty, "_answers", other)
    monkeypatch.setattr(novelty, "MOST", 200)
    with pytest.raises(ExportError, match="probabilities differ by up to"):
        answer_to_onnx(
            classifier_of_scans.network, STANDARD, scans, temperature=1, file=tmp_path / ANSWER
        )


def test_telling_costs_little(fitted, classifier_of_scans, tmp_path):
    _, file, _ = fitted
    to_onnx(
        classifier_of_scans.network, mean=STANDARD.mean, std=STANDARD.std, file=tmp_path / "m.onnx"
    )
    with_it, without = open_graph(file), open_graph(tmp_path / "m.onnx")
    image = {"pixels": np.zeros((1, 28, 28), np.uint8)}

    def quickest(graph):
        times = []
        for _ in range(200):
            start = time.perf_counter()
            for _ in range(10):
                graph.run(None, image)
            times.append((time.perf_counter() - start) / 10)
        return min(times)

    assert quickest(with_it) - quickest(without) < 20e-6  # 5 µs on a quiet machine


def test_pictures_are_the_same_for_the_same_seed():
    images, kinds = non_digits(50, STANDARD, seed=3)
    again, kinds_again = non_digits(50, STANDARD, seed=3)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(kinds, kinds_again)
    others, _ = non_digits(50, STANDARD, seed=4)
    assert (images != others).any()
    assert (images.shape, images.dtype) == ((50, 28, 28), np.uint8)


def test_pictures_are_of_every_kind():
    _, kinds = non_digits(300, STANDARD, seed=0)
    assert set(kinds.tolist()) == {int(kind) for kind in Kind}
