"""Links of the pages lead to files that are there; scripts/docs holds the anchors too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = [page for page in PAGES if "groups" not in page.parts]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
#: made when the site is built
MADE = ROOT / "docs" / "groups"


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    linked = [(page.parent / name).resolve() for name in LINK.findall(text)]
    assert [place for place in linked if not place.exists() and MADE not in place.parents] == []
