"""A made-up search: what a sweeper writes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.02, 0.005)
METRICS = ("validation/accuracy", "train/loss")


def entry(number: int, rate: float, *, status: str = "finished", epochs: int = 4) -> dict[str, Any]:
    """One trial; accuracy is best at a rate of 0.01."""
    top = 0.98 - 0.4 * abs(RATES.index(rate) - 4) / 10
    steps = [
        {"step": step, "metrics": {METRICS[0]: top - 0.3 / step, METRICS[1]: 2 * rate + 1 / step}}
        for step in range(1, epochs + 1)
    ]
    return {
        "number": number,
        "status": status,
        "overrides": {"model": ("cnn", "mlp")[number % 2], "optimizer.lr": str(rate)},
        "folder": f"/sweep/{number}" if steps else None,
        "steps": steps,
        "value": [steps[-1]["metrics"][METRICS[0]]] if steps else None,
        "notes": {"run_id": f"run{number}"},
        "error": "optimizer.lr: it diverged" if status == "failed" else None,
        "seconds": 2.0 * epochs,
    }


def search() -> dict[str, Any]:
    """Ten trials: three stopped early, one failed, one never started."""
    trials = [entry(number, rate) for number, rate in enumerate(RATES)]
    for number in (0, 6, 8):
        trials[number] = entry(number, RATES[number], status="pruned", epochs=2)
    trials[7] = entry(7, RATES[7], status="failed", epochs=1)
    trials.append(entry(10, RATES[0], status="pending", epochs=0) | {"overrides": {"model": "cnn"}})
    return {
        "metric": [METRICS[0]],
        "mode": ["max"],
        "status": "finished",
        "seconds": 61.0,
        "trials": trials,
    }


def write(content: dict[str, Any], folder: Path) -> Path:
    """Write ``trials.json`` into ``folder``."""
    file = folder / "trials.json"
    file.write_text(json.dumps(content))
    return file
