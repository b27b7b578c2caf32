"""Raw results as a small CSV that a long measurement resumes from, and tables with spread."""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from rich.console import Console
from rich.table import Table

from digits.config import canonical, resolvers
from digits.tracking.record import git_commit

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "results"
KEYS = ("case", "seed")


class Results:
    """Rows of one benchmark; each measured row is on disk before the next begins.

    A row is measured again when the configuration it was measured with has changed.

    Args:
        name: of the CSV file.
        values: names of the measured columns.
        fresh: throw earlier rows away instead of going on from them.
        folder: of the file.
    """

    def __init__(
        self, name: str, values: Sequence[str], *, fresh: bool, folder: Path = FOLDER
    ) -> None:
        self.file = folder / f"{name}.csv"
        self.columns = [*KEYS, *values, "config", "cpu", "commit", "command"]
        self.rows: list[dict[str, str]] = []
        if fresh:
            self.file.unlink(missing_ok=True)
        if self.file.exists():
            with self.file.open(newline="", encoding="utf-8") as stream:
                self.rows = list(csv.DictReader(stream))

    def measure(
        self,
        case: str,
        seed: int,
        function: Callable[[int], Mapping[str, float]],
        *,
        command: str,
        overrides: Sequence[str] | None = None,
    ) -> None:
        """Measure one row, ``function(seed)``, and append it, unless it is there.

        Args:
            case: what is measured.
            seed: or the number of the repeat.
            function: measures.
            command: how anybody can measure the same.
            overrides: of ``run.py``, where the row depends on a configuration.
        """
        config = "" if overrides is None else config_digest(overrides)
        known = {(row["case"], row["seed"]): row for row in self.rows}
        found = known.get((case, str(seed)))
        if found and found["config"] == config:
            return
        if found:
            self.rows.remove(found)
        values = {name: f"{value:.6g}" for name, value in function(seed).items()}
        row = {"case": case, "seed": str(seed), **values}
        row |= {"config": config, "cpu": cpu_name(), "commit": commit(), "command": command}
        self.rows.append(row)
        self._write()
        print(f"  {case}, seed {seed}: {values}", file=sys.stderr, flush=True)

    def lacks(self, case: str, seed: int) -> bool:
        """Tell whether such a row, one without a configuration, is still to be measured."""
        return not any((row["case"], row["seed"]) == (case, str(seed)) for row in self.rows)

    def forget(self, case: str) -> None:
        """Drop the rows of a case, so that all of them are measured together."""
        self.rows = [row for row in self.rows if row["case"] != case]

    def _write(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.file.with_suffix(".tmp")
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, self.columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self.file)

    def column(self, case: str, name: str) -> list[float]:
        """The measured values of one case, in the order of the seeds."""
        rows = [row for row in self.rows if row["case"] == case and row.get(name)]
        return [float(row[name]) for row in sorted(rows, key=lambda row: int(row["seed"]))]


def spread(values: Sequence[float], scale: float = 1, digits: int = 2) -> str:
    """Return ``mean ± sd (min to max)`` of the values."""
    if not values:
        return "not measured"
    scaled = [value * scale for value in values]
    deviation = statistics.stdev(scaled) if len(scaled) > 1 else 0.0
    low, high = min(scaled), max(scaled)
    return (
        f"{statistics.mean(scaled):.{digits}f} ± {deviation:.{digits}f} "
        f"({low:.{digits}f} to {high:.{digits}f})"
    )


def show(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print one table."""
    table = Table(title=f"{title}\n{cpu_name()}, {os.cpu_count()} cores", title_justify="left")
    for name in header:
        table.add_column(name)
    for row in rows:
        table.add_row(*row)
    Console(soft_wrap=True, width=120).print(table)


def commit() -> str:
    """Return the commit that is measured, marked where the tree but for results differs from it."""
    full = git_commit(ROOT, but="docs/results")
    return f"{full[:12]}-dirty" if full.endswith("-dirty") else full[:12]


def config_digest(overrides: Sequence[str]) -> str:
    """Return what identifies the configuration that these overrides compose to."""
    resolvers.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", [*overrides, "paths.output=."])
    return canonical.digest(config)[:12]


def cpu_name() -> str:
    """Return the processor's name and whether it computes in bfloat16."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "unknown CPU"
    names = [line.split(":")[1].strip() for line in text.splitlines() if "model name" in line]
    model = names[0] if names else "unknown CPU"
    return f"{model}, precision {resolvers.cpu_precision()}"


def run_task(overrides: Sequence[str]) -> dict[str, float]:
    """Run ``python run.py`` with these overrides and return the metrics it leaves."""
    with run_folder(overrides) as folder:
        return metrics_of(folder)


@contextlib.contextmanager
def run_folder(overrides: Sequence[str]) -> Iterator[Path]:
    """Run ``python run.py`` with these overrides; yield the run's folder, which lasts as long."""
    folder = tempfile.mkdtemp(prefix="digits-bench-")
    try:
        places = [f"paths.root={folder}", f"paths.cache={ROOT}/outputs/cache"]
        command = [sys.executable, str(ROOT / "run.py"), *overrides, *places]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
        (metrics,) = Path(folder).glob("runs/*/*/metrics.json")
        yield metrics.parent
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def metrics_of(folder: Path) -> dict[str, float]:
    """Return the metrics that a run has left in its folder."""
    values: dict[str, float] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return values


def arguments(description: str | None, **options: int) -> argparse.Namespace:
    """Parse ``--fresh`` and integer options given with their defaults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--fresh", action="store_true", help="measure everything again")
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()
