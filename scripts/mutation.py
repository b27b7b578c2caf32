"""Change the core one small thing at a time and list what its tests do not notice.

Each part is mutated by mutmut in a copy of the checkout below outputs/mutation/, with the tests
that are there for it and no others: a fault that only a distant test would find counts as missed.
"""

from __future__ import annotations

import argparse
import collections
import functools
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks._results import ROOT, Results, show

FOLDER = ROOT / "outputs" / "mutation"
MUTMUT = str(ROOT / ".venv" / "bin" / "mutmut")
# A mutant that hangs or brings the process down is noticed as well.
KILLED = frozenset({"killed", "timeout", "segfault", "suspicious", "caught by type check"})
MISSED = frozenset({"survived", "no tests"})
UNTRIED = "not checked"
SWEEPER = "hydra_plugins/ray_tune_sweeper"


@dataclass(frozen=True)
class Part:
    """Modules and the tests that are there for them, as paths from the root.

    Attributes:
        marked: which of the tests by their marks, a filter of pytest's; None: the default ones.
    """

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    marked: str | None = None


PARTS = {
    "preprocessing": Part(
        ("digits/contract/preprocessing.py",), ("tests/unit/test_preprocessing.py",)
    ),
    "gate": Part(
        tuple(f"digits/promotion/{name}.py" for name in ("gate", "criteria", "paired")),
        tuple(f"tests/unit/test_{name}.py" for name in ("gate", "criteria", "paired")),
    ),
    "sweeper": Part(
        tuple(f"{SWEEPER}/_{n}.py" for n in ("plan", "schedule", "space", "journal", "manifest")),
        tuple(
            f"tests/unit/test_sweeper_{name}.py"
            for name in ("plan", "schedule", "space", "journal", "manifest")
        ),
    ),
    "check": Part(
        tuple(
            f"digits/config/{name}.py"
            for name in ("check", "values", "usage", "rules", "signatures")
        ),
        (
            "tests/unit/test_check.py",
            *(
                f"tests/unit/test_check_{name}.py"
                for name in ("values", "arguments", "keys", "references", "targets", "trials")
            ),
            "tests/unit/test_check_libraries.py",
        ),
    ),
    "traffic": Part(
        (
            *(
                f"digits/contract/traffic{name}.py"
                for name in ("", "_access", "_database", "_reading")
            ),
            "serving/recorder.py",
        ),
        (
            *(f"tests/integration/test_traffic{name}.py" for name in ("", "_retention", "_places")),
            *(f"tests/integration/serving/test_{name}.py" for name in ("recorder", "feedback")),
        ),
        marked="service or not service",  # they start a PostgreSQL
    ),
}


class Workspace:
    """A copy of the checkout, in which mutmut works on one part."""

    def __init__(self, name: str, part: Part) -> None:
        self.name, self.part = name, part
        self.folder = FOLDER / name
        # The same examples of hypothesis in every run: its own profile for CI draws from the test.
        self.environment = {**os.environ, "CI": "1", "OMP_NUM_THREADS": "1"}

    def prepare(self) -> None:
        """Copy what git knows or would take up, and say to mutmut what to do."""
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.check_output(listed, cwd=ROOT, text=True).split("\0"):
            if name and (ROOT / name).is_file():
                copy = self.folder / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy)
        options = {
            "source_paths": ["digits", "hydra_plugins", "serving", "pipelines"],
            "only_mutate": self.part.modules,
            "also_copy": ["conf", "run.py", "scripts"],
            "pytest_add_cli_args": ["-p", "scripts.cleared_caches", *self._marks()],
            "pytest_add_cli_args_test_selection": self.part.tests,
            "use_git_change_detection": False,
        }
        with (self.folder / "pyproject.toml").open("a", encoding="utf-8") as stream:
            stream.write("\n[tool.mutmut]\n")
            stream.writelines(f"{key} = {json.dumps(value)}\n" for key, value in options.items())

    def _marks(self) -> list[str]:
        return [] if self.part.marked is None else ["-m", self.part.marked]

    def mutmut(self, *arguments: str, may_fail: bool = False) -> str:
        """Run mutmut and return what it says; a failure ends this program, unless it may be."""
        done = subprocess.run(
            [MUTMUT, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode and not may_fail:
            sys.exit(f"mutmut {arguments[0]} ended with {done.returncode}:\n{done.stdout[-4000:]}")
        return done.stdout

    def draw(self, most: int) -> list[str]:
        """Return so many mutants, drawn with a fixed seed."""
        self.mutmut("run", "none", may_fail=True)  # writes all mutants, and finds none of the name
        names = sorted(self.statuses())
        return sorted(random.Random(0).sample(names, min(most, len(names))))

    def run(self, *names: str) -> None:
        """Try these mutants or all, one at a time: others need the processor, too."""
        self.mutmut("run", "--max-children", "1", *names)

    def statuses(self) -> dict[str, str]:
        """Return mutant -> what became of it."""
        lines = self.mutmut("results", "--all", "true").splitlines()
        pairs = (line.strip().partition(": ") for line in lines)
        return {name: status for name, mark, status in pairs if mark and "__mutmut_" in name}

    def write_survivors(self, statuses: dict[str, str]) -> Path:
        """Write the differences that no test noticed into one file."""
        file = FOLDER / f"{self.name}.diff"
        missed = [name for name, status in statuses.items() if status in MISSED]
        file.write_text("\n".join(self.mutmut("show", name) for name in missed), encoding="utf-8")
        return file


def counts(statuses: dict[str, str], modules: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return module -> its ``mutants`` that were tried, ``killed`` and ``survived``."""
    counted = {}
    for module in modules:
        prefix = module.removesuffix(".py").replace("/", ".") + "."
        seen = collections.Counter(s for name, s in statuses.items() if name.startswith(prefix))
        killed = sum(seen[status] for status in KILLED)
        survived = sum(seen[status] for status in MISSED)
        counted[module] = {"mutants": killed + survived, "killed": killed, "survived": survived}
    return counted


def measure(name: str, results: Results, *, most: int | None, again: bool) -> None:
    """Mutate one part, keep a row for each of its modules and show them.

    Args:
        name: of the part.
        results: where the rows go.
        most: mutants that are tried; None: all of them.
        again: try only those that survived before, and add them to what was found then.
    """
    began = time.monotonic()
    workspace = Workspace(name, PARTS[name])
    before = workspace.statuses() if again else {}
    names = [each for each, status in before.items() if status in MISSED]
    if not again:
        shutil.rmtree(workspace.folder, ignore_errors=True)
    workspace.prepare()
    if most and not again:
        names = workspace.draw(most)
    if names or not again:
        workspace.run(*names)
    now = {each: status for each, status in workspace.statuses().items() if status != UNTRIED}
    statuses = before | now  # a changed setting makes mutmut forget the others
    drawn = f" --most {most}" if most else ""
    rows = []
    for module, row in counts(statuses, workspace.part.modules).items():
        results.forget(module)
        counted = functools.partial(_counted, row)
        results.measure(module, 0, counted, command=f"scripts/mutate {name}{drawn}")
        score = f"{row['killed'] / row['mutants']:.1%}" if row["mutants"] else "none"
        rows.append((module, *(str(value) for value in row.values()), score))
    file = workspace.write_survivors(statuses)
    show(
        f"{name}: {time.monotonic() - began:.0f} s",
        ("module", "mutants", "killed", "survived", "score"),
        rows,
    )
    print(f"What no test noticed: {file.relative_to(ROOT)}")


def _counted(row: dict[str, int], _seed: int) -> dict[str, int]:
    return row


def main() -> None:
    """Mutate the parts named, or all."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; or all")
    parser.add_argument(
        "--survivors",
        action="store_true",
        help="only those that survived before: after tests were added, the modules unchanged",
    )
    parser.add_argument("--most", type=int, help="try so many mutants of a part, drawn by a seed")
    options = parser.parse_args()
    if options.most is not None and options.most < 1:
        parser.error(f"--most {options.most}: try 1 or more")
    unknown = sorted(set(options.parts) - set(PARTS))
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    wanted = options.parts or list(PARTS)
    new = [name for name in wanted if not (FOLDER / name / "mutants").is_dir()]
    if options.survivors and new:
        parser.error(f"--survivors: nothing was tried of {', '.join(new)} yet: first without it")
    results = Results("mutation", ("mutants", "killed", "survived"), fresh=False)
    for name in wanted:
        measure(name, results, most=options.most, again=options.survivors)


if __name__ == "__main__":
    main()
