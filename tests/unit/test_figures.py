"""Pictures: one PNG each, also of what is missing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from digits.evaluation import figures

EPOCH = {"train/loss": 0.5, "train/accuracy": 0.9}
JUDGED = {"validation/loss": 0.7, "validation/accuracy": 0.8}


def colours(file):
    assert file.read_bytes().startswith(b"\x89PNG")
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB")).reshape(-1, 3)


def has(file, colour):
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((colours(file) == wanted).all(1).any())


def reds(file):
    red, green, blue = colours(file).astype(int).T
    return int(((red > green + 60) & (red > blue + 60)).sum())


@pytest.mark.parametrize("epochs", [1, 2, 30])
def test_curves_show_training_and_validation(tmp_path, epochs):
    rows = [EPOCH | JUDGED | {"train/loss": 1 / (n + 1)} for n in range(epochs)]
    file = figures.curves(rows, tmp_path / "curves.png")
    assert has(file, figures.INK)
    assert has(file, figures.ACCENT)


def test_curves_without_validation(tmp_path):
    file = figures.curves([EPOCH, EPOCH], tmp_path / "curves.png")
    assert has(file, figures.INK)
    assert not has(file, figures.ACCENT)


@pytest.mark.parametrize("rows", [[], [{"train/loss": float("nan"), "train/accuracy": 0.1}]])
def test_curves_of_nothing_are_empty_axes(tmp_path, rows):
    assert len(colours(figures.curves(rows, tmp_path / "curves.png"))) > 10_000


def test_confusion_matrix_colours_only_mistakes(tmp_path):
    right = np.diag(np.full(10, 40))
    clean = figures.confusion_matrix(right, tmp_path / "clean.png", title="none wrong")
    assert has(clean, figures.PALE)
    assert not reds(clean)
    wrong = right.copy()
    wrong[3, 5] = 7
    faulty = figures.confusion_matrix(wrong, tmp_path / "faulty.png", title="7 wrong")
    assert reds(faulty) > 500


def test_confusion_matrix_of_a_single_class(tmp_path):
    confusion = np.zeros((10, 10), np.int64)
    confusion[4, 4] = 12_345
    file = figures.confusion_matrix(confusion, tmp_path / "one.png", title="only fours")
    assert len(colours(file)) > 10_000


def probabilities(answers, confidence):
    out = np.full((len(answers), 10), 0.0)
    out[np.arange(len(answers)), answers] = confidence
    return out


def test_worst_mistakes_are_the_most_confident_ones(tmp_path, digits, monkeypatch):
    drawn = []
    real = figures.save
    monkeypatch.setattr(
        figures, "save", lambda figure, file: drawn.append(figure) or real(figure, file)
    )
    labels = digits.test.labels[:40]
    answers = labels.copy()
    answers[[3, 9, 20]] = (labels[[3, 9, 20]] + 1) % 10
    confidence = np.full(40, 0.99)
    confidence[[3, 9, 20]] = 0.4, 0.9, 0.6
    file = figures.worst_mistakes(
        digits.test.images[:40],
        labels,
        probabilities(answers, confidence),
        tmp_path / "w.png",
        most=2,
    )
    titles = [axes.get_title() for axes in drawn[0].axes if axes.get_title()]
    assert titles == ["9 read as 0\n90%", "0 read as 1\n60%"]
    assert len(colours(file)) > 10_000


def test_no_mistakes_are_a_picture_that_says_so(tmp_path, digits, monkeypatch):
    drawn = []
    real = figures.save
    monkeypatch.setattr(
        figures, "save", lambda figure, file: drawn.append(figure) or real(figure, file)
    )
    labels = digits.test.labels
    file = figures.worst_mistakes(
        digits.test.images, labels, probabilities(labels, 0.9), tmp_path / "w.png"
    )
    assert len(colours(file)) > 1_000
    assert drawn[0].get_suptitle() == "all 80 right"
