"""A page for each group of conf/, made from its files whenever the site is built."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from digits.config.help import chosen_by_default, group_of, header, leader_of


def write_pages(conf: Path, folder: Path) -> None:
    """Write ``folder/<group>.md`` for every group of ``conf``, and ``folder/index.md``."""
    folder.mkdir(exist_ok=True)
    for stale in folder.glob("*.md"):
        stale.unlink()
    files = sorted(conf.glob("*/**/*.yaml"), key=lambda file: (group_of(file, conf), file))
    chosen = chosen_by_default(conf)
    for group, options in groupby(files, lambda file: group_of(file, conf)):
        page = _page(group, list(options), chosen.get(group))
        (folder / f"{group.replace('/', '-')}.md").write_text(page, encoding="utf-8")
    (folder / "index.md").write_text(INDEX, encoding="utf-8")


INDEX = """\
# Every option

A page for each group of `conf/`, made from its files; `python run.py --help` prints the same lists.

```{toctree}
:glob:
*
```
"""


def _page(group: str, options: list[Path], default: str | None) -> str:
    leader = leader_of(default)
    follows = f"Follows `{leader}` unless it is named. " if leader else ""
    lines = [f"# `{group}`", "", f"{follows}Choose with `{group}=<option>`.", ""]
    lines += ["| option | |", "| --- | --- |"]
    for file in options:
        mark = " (default)" if file.stem == default else ""
        lines.append(f"| [`{file.stem}`](#{_anchor(file)}){mark} | {header(file)} |")
    for file in options:
        text = file.read_text(encoding="utf-8").strip()
        lines += ["", f"({_anchor(file)})=", f"## {file.stem}", "", "```yaml", text, "```"]
    return "\n".join([*lines, ""])


def _anchor(file: Path) -> str:
    return f"option-{file.parent.name}-{file.stem}".replace("_", "-")
