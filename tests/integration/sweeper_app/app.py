"""An application of a few lines to sweep over: it "trains" by sleeping and fails on request."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hydra_plugins.ray_tune_sweeper import session


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> float | None:
    """Do the steps that are left, each one better than the last; best at x = 0.3."""
    trial = session.current()
    folder = Path(HydraConfig.get().runtime.output_dir)
    state = {"step": 0, "by": []}
    if trial is not None and trial.checkpoint is not None:
        state = json.loads(trial.checkpoint.read_text())
    value = _value(cfg, state["step"]) if state["step"] else None
    try:
        for step in range(trial.step + 1 if trial else 1, state["step"] + 1):
            # Saved, but killed before it could report.
            value = _value(cfg, step)
            trial.report({"acc": value, "loss": 1 - value}, trial.checkpoint)
        for step in range(state["step"] + 1, cfg.epochs + 1):
            time.sleep(cfg.sleep)
            value = _value(cfg, step)
            if trial is None:
                continue
            state = {"step": step, "by": [*state["by"], trial.number]}
            line = {"step": step, "pid": os.getpid(), "x": cfg.x, "by": state["by"]}
            with (folder / "steps.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            _fault(cfg.fail_before, trial.number, step, folder)
            checkpoint = folder / "checkpoint" if cfg.checkpoint and not step % cfg.every else None
            if checkpoint:
                (folder / "new").write_text(json.dumps(state))
                (folder / "new").replace(checkpoint)
            _fault(cfg.die_before_report, trial.number, step, folder)
            if step <= trial.step or not cfg.report:
                continue  # reported before it was killed
            if not trial.report({"acc": value, "loss": 1 - value}, checkpoint):
                break
            _fault(cfg.die_after_report, trial.number, step, folder)
    finally:
        time.sleep(cfg.closing)
        (folder / "closed").touch()
    return value if cfg.returns else None


def _value(cfg: DictConfig, step: int) -> float:
    return float((1 - (cfg.x - 0.3) ** 2) * step / cfg.epochs)


def _fault(faults: DictConfig, number: int, step: int, folder: Path) -> None:
    """Fail as often as asked for: ``faults`` says at which step of which trial."""
    if (faults.steps or {}).get(number) != step:
        return
    before = len(list(folder.glob("fault*")))
    if before >= faults.times:
        return
    (folder / f"fault{before}").touch()
    if faults.kills:
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError(f"made to fail at step {step}")


if __name__ == "__main__":
    main()
