"""The page's files as they are served: small, complete, and nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import serving.pages

FILES = sorted(each for each in serving.pages.PAGE.rglob("*") if each.is_file())
TEXTS = [each for each in FILES if each.suffix != ".ico"]
PAGES = [each.name for each in FILES if each.suffix == ".html"]


def text(name: str) -> str:
    return (serving.pages.PAGE / name).read_text(encoding="utf-8")


def named(page: str) -> set[str]:
    """The files that a page fetches."""
    found: set[str] = set()
    # A page that is served from its own folder names its files without it.
    waiting = re.findall(r'<(?:link|script)[^>]*\s(?:href|src)="(?:page/)?([^"/]+)"', text(page))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += re.findall(r'from "\./([^"]+)"', text(name)) if name.endswith(".js") else []
    return found


@pytest.mark.parametrize("page", PAGES)
def test_it_is_small(page: str) -> None:
    assert sum((serving.pages.PAGE / each).stat().st_size for each in {page, *named(page)}) < 70_000


def test_pages_name_only_files_that_there_are() -> None:
    names = set().union(*map(named, PAGES))
    assert {"app.css", "main.js", "theme.js", "favicon.svg", "paper.js", "label.js"} <= names
    assert names <= {each.name for each in FILES}
    # and no file that nothing names
    assert {each.name for each in FILES} - names == {*PAGES, "favicon.ico"}
    assert set(serving.pages.PAGES.values()) <= {*PAGES, "favicon.ico"}


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.name)
def test_nothing_comes_from_elsewhere(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z0-9-]+\.[a-z]", text)


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_inline(page: str) -> None:
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text(page))
    assert re.findall(r"<script(?![^>]*\ssrc=)", text(page)) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_reference_to_an_element_has_one(page: str) -> None:
    html = text(page)
    ids = set(re.findall(r'\sid="([^"]+)"', html))
    assert len(ids) == len(re.findall(r'\sid="', html))  # no id twice
    wanted = " ".join(
        re.findall(r'(?:aria-(?:labelledby|describedby|controls)|for)="([^"]+)"', html)
    )
    asked = set(wanted.split())
    for name in named(page):
        if name.endswith(".js"):
            asked |= set(re.findall(r'(?:byId|getElementById)\("([^"]+)"\)', text(name)))
    assert asked <= ids
