"""The page's files as they are served: small, complete, and nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import serving.api

FILES = sorted(each for each in serving.api.PAGE.rglob("*") if each.is_file())
TEXTS = [each for each in FILES if each.suffix != ".ico"]
HTML = (serving.api.PAGE / "index.html").read_text(encoding="utf-8")
API = (serving.api.PAGE / "api.html").read_text(encoding="utf-8")


def test_it_is_small() -> None:
    assert sum(each.stat().st_size for each in FILES) < 80_000


def test_it_names_only_files_that_there_are() -> None:
    names = re.findall(r'(?:href|src)="page/([^"]+)"', HTML)
    for file in FILES:
        if file.suffix == ".js":
            names += re.findall(r'from "\./([^"]+)"', file.read_text(encoding="utf-8"))
    assert {"app.css", "main.js", "theme.js", "favicon.svg", "paper.js"} <= set(names)
    assert set(names) <= {each.name for each in FILES}
    # and no file that nothing names
    assert {each.name for each in FILES} - set(names) == {"index.html", "favicon.ico"}


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.name)
def test_nothing_comes_from_elsewhere(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z0-9-]+\.[a-z]", text)


def test_nothing_is_inline() -> None:
    for page in (HTML, API):
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page)
        assert re.findall(r"<script(?![^>]*\ssrc=)", page) == []


def test_every_reference_to_an_element_has_one() -> None:
    ids = set(re.findall(r'\sid="([^"]+)"', HTML))
    assert len(ids) == len(re.findall(r'\sid="', HTML))  # no id twice
    wanted = " ".join(
        re.findall(r'(?:aria-(?:labelledby|describedby|controls)|for)="([^"]+)"', HTML)
    )
    asked = set(wanted.split())
    for file in FILES:
        if file.suffix == ".js":
            code = file.read_text(encoding="utf-8")
            asked |= set(re.findall(r'(?:byId|getElementById)\("([^"]+)"\)', code))
    assert asked <= ids
