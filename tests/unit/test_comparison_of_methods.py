"""Methods beside each other: quartiles over seeds, whatever was reached."""

from __future__ import annotations

import numpy as np
import pytest

from digits.active.comparison import draw, figures, methods, table
from digits.active.rounds import Curve, Round


def curve(accuracies, *, name="margin", seed=0, start=20):
    rounds = tuple(
        Round(labels=start + 10 * place, accuracy=accuracy, seconds=60, cpu_seconds=30)
        for place, accuracy in enumerate(accuracies)
    )
    return Curve(acquisition=name, seed=seed, commit="c0ffee", initial=(1, 2), rounds=rounds)


def kept(*curves):
    """As they are kept: by acquisition and settings, which are the same for all of a name here."""
    found = {}
    for each in curves:
        found.setdefault(f"{each.acquisition}-c0ffee123456", []).append(each)
    return found


def test_labels_to_an_accuracy_are_those_of_the_first_round_that_has_it():
    one = curve([0.8, 0.95, 0.94, 0.96])
    assert [one.labels_to(goal) for goal in (0.5, 0.9, 0.95, 0.96, 0.97)] == [
        20,
        30,
        30,
        50,
        np.inf,
    ]
    assert one.until(30).labels_to(0.96) == np.inf


def test_quartiles_over_seeds_with_one_that_never_got_there():
    seeds = [
        curve([0.8, 0.91, 0.96, 0.97]),
        curve([0.92, 0.91, 0.94, 0.96], seed=1),
        curve([0.8, 0.8, 0.92, 0.93], seed=2),
    ]
    (method,) = methods(kept(*seeds))
    assert method.labels_to(0.9) == (25, 30, 35)
    assert method.labels_to(0.95) == (45, 50, np.inf)
    assert method.labels_to(0.98) == (np.inf,) * 3
    assert method.accuracy_at(40) == pytest.approx(0.94)
    assert method.accuracy_at(60) is None
    row = figures(method, [40, 60])
    assert row["to 90%"] == "30 (25 to 35)" and row["to 98%"] == "–"
    assert row["at 40"] == "94.00%" and row["at 60"] == "–"
    assert row["minutes"] == "4.0" and row["seeds"] == "3"


def test_the_band_is_over_the_rounds_that_every_seed_has():
    (method,) = methods(kept(curve([0.8, 0.9, 0.95]), curve([0.7, 0.8], seed=1)))
    labels, bands = method.band()
    assert labels.tolist() == [20, 30]
    assert np.allclose(bands[1], [0.75, 0.85])
    assert np.allclose(bands[0], [0.725, 0.825])


def test_one_acquisition_with_two_settings_is_two_methods():
    compared = methods(
        {"margin-aaaaaaaaaaaa": [curve([0.8])], "margin-bbbbbbbbbbbb": [curve([0.9])]}
    )
    assert [(each.name, len(each.curves)) for each in compared] == [
        ("margin aaaaaa", 1),
        ("margin bbbbbb", 1),
    ]


def test_methods_are_a_table(tmp_path):
    compared = methods(kept(curve([0.8, 0.96]), curve([0.7], name="least_confidence")))
    lines = table(compared, tmp_path / "labels.csv", places=[30]).read_text().splitlines()
    assert lines == [
        "method,seeds,to 90%,to 95%,to 98%,at 30,minutes",
        "least confidence,1,–,–,–,–,1.0",
        "margin,1,30,30,–,96.00%,2.0",
    ]


def test_methods_are_drawn_in_one_picture(tmp_path):
    compared = methods(
        kept(curve([0.8, 0.9, 1.0]), curve([0.7, 0.8], name="random"), curve([0.7], name="bald"))
    )
    assert [method.name for method in compared] == ["bald", "margin", "random"]
    file = draw(compared, tmp_path / "labels.png", title="bars")
    assert file.stat().st_size > 10_000
