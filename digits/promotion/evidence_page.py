"""A decision of the gate as one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from digits.evaluation.page import digit, percent
from digits.promotion.criteria import written
from digits.promotion.evidence import MOST_DIGITS, Case
from digits.promotion.evidence_figures import pictures

TEMPLATE = "evidence.html.j2"


def page(facts: Mapping[str, Any], case: Case) -> str:
    """Return the page of a case; ``facts`` are what ``document`` makes of it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "written": written}
    shown = {
        name: [
            {**each, "picture": digit(case.data.test.images[each["index"]])}
            for each in facts[name][:MOST_DIGITS]
        ]
        for name in ("lost", "gained")
    }
    return environment.get_template(TEMPLATE).render(
        **facts, shown=shown, pictures=pictures(case), criterion_list=case.verdict.criteria
    )
