"""Galleries and curves: one PNG each, also of maps that show nothing."""

from __future__ import annotations

import numpy as np
import pytest

from digits.evaluation import attribution_figures, figures
from digits.evaluation.removal import STEPS, Curves
from tests.unit.test_figures import colours


@pytest.fixture(name="drawn")
def _drawn(monkeypatch):
    """Keep the figures that are saved."""
    kept = []
    real = figures.save
    monkeypatch.setattr(
        attribution_figures, "save", lambda figure, file: kept.append(figure) or real(figure, file)
    )
    return kept


def _texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_maps_stand_beside_their_image(tmp_path, digits, drawn):
    images = digits.test.images[:3]
    random = np.random.default_rng(0)
    maps = {name: random.standard_normal(images.shape, np.float32) for name in ("first", "second")}
    file = attribution_figures.gallery(
        images, ["a", "b", "c"], maps, tmp_path / "gallery.png", title="bars"
    )
    assert len(drawn[0].axes) == 9
    assert [axes.get_ylabel() for axes in drawn[0].axes[::3]] == ["a", "b", "c"]
    red, green, blue = colours(file).astype(int).T
    assert ((red > blue + 60) & (red > green + 60)).sum() > 500
    assert ((blue > red + 60) & (blue > green)).sum() > 500


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "all zero"), (np.nan, "not finite"), (np.inf, "not finite")]
)
def test_map_that_shows_nothing_says_so(tmp_path, digits, drawn, value, said):
    images = np.stack([digits.test.images[0], np.zeros((28, 28), np.uint8)])
    maps = {"it": np.full(images.shape, value, np.float32)}
    maps["it"][1, 3, 4] = 2.0 if value == 0 else value
    file = attribution_figures.gallery(
        images, ["a digit", "a blank page"], maps, tmp_path / "gallery.png", title="nothing"
    )
    assert _texts(drawn[0]).count(said) == (1 if value == 0 else 2)
    assert len(colours(file)) > 1000


def test_long_gallery_is_cut_and_says_so(tmp_path, digits, drawn):
    images = digits.test.images[:20]
    maps = {"it": images.astype(np.float32)}
    attribution_figures.gallery(images, ["x"] * 20, maps, tmp_path / "gallery.png", title="many")
    assert len(drawn[0].axes) == 32
    assert drawn[0].get_suptitle().startswith("many (the first 16 of 20)")


def test_curves_have_a_line_for_each_method_and_grey_ones_for_controls(tmp_path, drawn):
    falling = np.linspace(1, 0, STEPS + 1)
    found = {f"method {n}": Curves(falling ** (n + 1), falling[::-1]) for n in range(12)}
    found["control"] = Curves(falling, falling[::-1])
    attribution_figures.removal_curves(found, ["control"], tmp_path / "curves.png")
    for axes in drawn[0].axes:
        assert [line.get_label() for line in axes.lines] == list(found)
        looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
        assert len(looks) == len(found)
        assert axes.lines[-1].get_color() == figures.FADED
