"""Every group of conf/ has a page with every option of it, made from the files."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
GROUPS = sorted({file.parent.relative_to(CONF).as_posix() for file in CONF.glob("*/**/*.yaml")})


@pytest.fixture(scope="module", name="pages")
def _pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("option_pages", ROOT / "docs" / "option_pages.py")
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("site") / "groups"
    folder.mkdir()
    (folder / "gone.md").write_text("# A group that is no more\n")
    module.write_pages(CONF, folder)
    return folder


@pytest.mark.parametrize("group", GROUPS)
def test_page_shows_each_option_with_its_header_and_its_values(pages: Path, group: str) -> None:
    page = (pages / f"{group.replace('/', '-')}.md").read_text(encoding="utf-8")
    for file in (CONF / group).glob("*.yaml"):
        text = file.read_text(encoding="utf-8").strip()
        lines = text.splitlines()
        assert f"| {lines['@package' in lines[0]].removeprefix('# ')} |" in page
        assert f"```yaml\n{text}\n```" in page


def test_defaults_are_marked_and_what_is_gone_has_no_page(pages: Path) -> None:
    assert "[`cnn`](#option-model-cnn) (default)" in (pages / "model.md").read_text()
    assert "Follows `data` unless it is named." in (pages / "recipe.md").read_text()
    assert not (pages / "gone.md").exists()
