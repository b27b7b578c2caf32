"""What ``python run.py --help`` prints, read from the files of ``conf/`` without Hydra.

Hydra's own help goes through the whole of ``conf/`` again for every group: a second of waiting.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import yaml  # type: ignore[import-untyped]

ASKED = frozenset({"-h", "--help"})

SWITCHES = """\
Switches:
  --cfg job     print what would run, run nothing
  -m            run every combination of the values typed as key=a,b
  --hydra-help  Hydra's own switches"""


def help_text(commands: str, conf: Path) -> str:
    """Return ``commands``, then every group of ``conf`` with what its options are for.

    Args:
        commands: what can be typed, a line for each.
        conf: the folder that holds ``config.yaml`` and a folder for each group.
    """
    files = sorted(conf.glob("*/**/*.yaml"), key=lambda file: (group_of(file, conf), file))
    width = max(len(file.stem) for file in files)
    chosen = chosen_by_default(conf)
    parts = [commands.strip(), "Groups, each with its options; * is the default:"]
    for group, options in groupby(files, lambda file: group_of(file, conf)):
        if group.partition("/")[0] == "hydra":  # set by other groups, seldom typed
            continue
        default = chosen.get(group)
        leader = leader_of(default)
        lines = [f"{group}=" + (f"  (follows {leader})" if leader else "")]
        for file in options:
            mark = "*" if file.stem == (chosen.get(leader) if leader else default) else " "
            lines.append(f"  {mark} {file.stem:<{width}}  {header(file)}".rstrip())
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, SWITCHES])


def group_of(file: Path, conf: Path) -> str:
    """Return the group of an option's file: ``hydra/sweeper`` of ``hydra/sweeper/search.yaml``."""
    return file.parent.relative_to(conf).as_posix()


def header(file: Path) -> str:
    """Return the first comment that is not an instruction to Hydra."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and not line.startswith("# @"):
            return line.lstrip("# ")
    return ""


def chosen_by_default(conf: Path) -> dict[str, str | None]:
    """Return group -> option for a command line that names no more than a task.

    Where tasks differ, it is the option of the task that is the default.
    """
    chosen = _defaults_list(conf / "config.yaml")
    tasks = {file.stem: _defaults_list(file) for file in sorted((conf / "task").glob("*.yaml"))}
    any_task = {group: option for used in tasks.values() for group, option in used.items()}
    return any_task | chosen | tasks[str(chosen["task"])]


def _defaults_list(file: Path) -> dict[str, str | None]:
    """Return group -> option; of ``optional /group@package: option`` the bare group."""
    content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return {
        key.split()[-1].partition("@")[0].strip("/"): option
        for entry in content.get("defaults", [])
        if isinstance(entry, dict)
        for key, option in entry.items()
    }


def leader_of(option: str | None) -> str | None:
    """Return the group whose option this one is named after: ``data`` of ``${data}``."""
    return option[2:-1] if option and option.startswith("${") else None
