"""Stands in for run.py: notes what it is asked, leaves a task's files, ends as it is told."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

WORLD = Path(os.environ["STAND_IN"])


def main() -> int:
    line = sys.argv[1:]
    task = line[0].removeprefix("task=")
    name = "judge" if "action=judge" in line else task
    with (WORLD / "asked.jsonl").open("a") as asked:
        asked.write(json.dumps(line) + "\n")
    code = json.loads((WORLD / "codes.json").read_text()).get(name, 0)
    if code < 0:
        os.kill(os.getpid(), -code)
        signal.pause()
    folder = Path(next(each for each in line if each.startswith("hydra.")).split("=")[1].strip("'"))
    folder.mkdir(parents=True)
    sys.stdout.write(f"{name} says code {code}\n")
    if code in (0, 12):
        leave(task, folder, line)
    return code


def leave(task: str, folder: Path, line: list[str]) -> None:
    digest = json.loads((WORLD / "codes.json").read_text()).get("digest", "d1")
    files: dict[str, object] = {
        "data": {
            "versions.json": [
                {
                    "stage": stage,
                    "digest": digest,
                    "name": "uci",
                    "description": "",
                    "shapes": {},
                    "run_id": "r",
                }
                for stage in ("raw", "preprocessed")
            ]
        },
        "features": {"features.json": {"as_of": "2026-01-31T12:00:00+00:00"}},
        "train": {
            "version.json": {"name": "digits", "number": 7, "run_id": "r"},
            "metrics.json": {"test/accuracy": 0.5},
            "bundle/manifest.json": {},
            "best.yaml": {"overrides": ["optimizer.lr=0.5"]},
        },
        "evaluate": {
            "metrics.json": {"test/accuracy": 0.5},
            "evaluation/report.json": {"confusion": [[1] * 10] * 10},
            "evaluation/report.html": {},
        },
        "promote": {
            "metrics.json": {"gate/passed": 0.0},
            "promotion/evidence.json": {"reasons": ["it is no better"]},
            "promotion/evidence.html": {},
            "promotion/model_card.md": {},
        },
    }.get(task, {})
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))


if __name__ == "__main__":
    sys.exit(main())
