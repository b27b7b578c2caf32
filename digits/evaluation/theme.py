"""Colours of pictures that are shown on a light or on a dark page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl


@dataclass(frozen=True)
class Theme:
    """Colours of one look, as ``#rrggbb``.

    Attributes:
        paper: the background.
        text: words and axes.
        muted: grids and what is less important.
        ink: the main series.
        accent: what to look at: mistakes, the worst.
        pale: areas.
        ramp: matplotlib's colour map for counts of mistakes, from few to many.
        digits: matplotlib's colour map for images.
    """

    name: str
    paper: str
    text: str
    muted: str
    ink: str
    accent: str
    pale: str
    ramp: str
    digits: str


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    text="#1b2430",
    muted="#a9b4c2",
    ink="#2f5d8c",
    accent="#d1495b",
    pale="#e9edf2",
    ramp="Reds",
    digits="gray_r",
)
DARK = Theme(
    name="dark",
    paper="#171d26",
    text="#e4e9f0",
    muted="#566273",
    ink="#7fb2e5",
    accent="#ff7b8a",
    pale="#273140",
    ramp="inferno",
    digits="gray",
)
THEMES = (LIGHT, DARK)


@contextmanager
def themed(theme: Theme) -> Iterator[Theme]:
    """Draw what is drawn inside in the colours of ``theme``."""
    colours: dict[Any, Any] = {
        "figure.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "axes.edgecolor": theme.muted,
        "axes.labelcolor": theme.text,
        "axes.titlecolor": theme.text,
        "text.color": theme.text,
        "xtick.color": theme.text,
        "ytick.color": theme.text,
        "grid.color": theme.muted,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "font.size": 9.5,
    }
    with mpl.rc_context(colours):
        yield theme
