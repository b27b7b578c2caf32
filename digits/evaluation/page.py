"""One evaluation as one HTML file that needs nothing beside it: pictures and style are inside."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from digits.evaluation.evaluation import Evaluation

TEMPLATE = "page.html.j2"
MOST_MISTAKES = 24


def page(
    facts: Mapping[str, Any],
    evaluation: Evaluation,
    pictures: Mapping[str, Mapping[str, Path]],
) -> str:
    """Return the page.

    Args:
        facts: what ``document`` makes of the evaluation.
        evaluation: for the pictures of its worst mistakes.
        pictures: name -> theme -> PNG, as the figures are drawn.
    """
    mistakes = [
        {**mistake, "picture": digit(evaluation.test.images[mistake["index"]])}
        for mistake in facts["mistakes"][:MOST_MISTAKES]
    ]
    inlined = {
        name: {theme: inline(file.read_bytes()) for theme, file in themes.items()}
        for name, themes in pictures.items()
    }
    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            **facts,
            first=next(iter(facts["runtimes"].values())),
            worst_mistakes=mistakes,
            wrong=int((evaluation.probabilities.argmax(1) != evaluation.test.labels).sum()),
            pictures=inlined,
        )
    )


def environment(*folders: Path) -> jinja2.Environment:
    """Return what renders pages: templates of ``folders``, then of this one, text escaped.

    ``page_style.css`` is the style that pages share; filters: ``percent``, ``milliseconds``.
    """
    rendering = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rendering.filters |= {"percent": percent, "milliseconds": milliseconds}
    return rendering


def inline(png: bytes) -> Markup:
    """Return a PNG as an address that holds it."""
    return Markup("data:image/png;base64," + base64.b64encode(png).decode("ascii"))


def digit(image: NDArray[np.uint8]) -> Markup:
    """Return one image uint8 ``[28, 28]`` as such an address."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG", optimize=True)
    return inline(content.getvalue())


def percent(share: float | None, digits: int = 2) -> str:
    """Write a share in 0..1; a dash where there is none."""
    return "–" if share is None else f"{share:.{digits}%}".replace("%", " %")


def milliseconds(seconds: float) -> str:
    """Write a short time."""
    return f"{1000 * seconds:.2f} ms"
