"""Start-up of the cheap commands beside a minimal Hydra application, in turn."""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scripts.benchmarks._results import ROOT, Results, arguments, show, spread

MINIMAL = """import hydra


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config):
    print(config)


main()
"""
CASES = {"--cfg job": ["--cfg", "job"], "--help": ["--help"], "bad override": ["no_such_key=1"]}


def seconds(script: Path, arguments: list[str]) -> float:
    """Return the wall seconds of one whole process; a crash, which is quick, ends it all."""
    command = [sys.executable, str(script), *arguments]
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - begin
    if "Traceback" in done.stderr:
        sys.exit(f"{' '.join(command)} crashed:\n{done.stderr[-3000:]}")
    return elapsed


def pair(minimal: Path, typed: list[str], repeat: int) -> dict[str, float]:
    """Time both, one after the other."""
    ours, theirs = seconds(ROOT / "run.py", typed), seconds(minimal, typed)
    return {"ours": ours, "minimal": theirs, "ratio": ours / theirs}


def main() -> None:
    """Measure what is missing, then print the table."""
    options = arguments(__doc__, repeats=15)
    names = ["ours", "minimal", "ratio"]
    results = Results("startup", names, fresh=options.fresh)
    with tempfile.TemporaryDirectory() as folder:
        minimal = Path(folder) / "app.py"
        minimal.write_text(MINIMAL, encoding="utf-8")
        (Path(folder) / "conf").mkdir()
        (Path(folder) / "conf" / "config.yaml").write_text("learning_rate: 0.1\n", encoding="utf-8")
        for typed in CASES.values():  # once unmeasured: file caches and bytecode
            seconds(ROOT / "run.py", typed)
            seconds(minimal, typed)
        for case, typed in CASES.items():
            for repeat in range(options.repeats):
                row = functools.partial(pair, minimal, typed)
                results.measure(case, repeat, row, command=f"python run.py {' '.join(typed)}")
    rows = [[case, *(spread(results.column(case, name)) for name in names)] for case in CASES]
    header = ["command", "run.py (s)", "minimal Hydra application (s)", "ratio"]
    show(f"Start-up, {options.repeats} pairs", header, rows)


if __name__ == "__main__":
    main()
