"""OmegaConf resolvers of the configuration tree; none imports a heavy library."""

from __future__ import annotations

import json
from pathlib import Path

from omegaconf import OmegaConf

PROJECT = Path(__file__).resolve().parents[2]
SWEEP = ".tune/sweep.json"  # what the sweeper keeps in a sweep's folder


def cpu_precision(cpuinfo: str = "/proc/cpuinfo") -> str:
    """Return Lightning's precision for this CPU: ``bf16-mixed`` where it computes in bfloat16.

    Without AVX-512-BF16 or AMX instructions bfloat16 is emulated and slower than float32.
    """
    try:
        text = Path(cpuinfo).read_text(encoding="utf-8")
    except OSError:
        return "32-true"
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    return "bf16-mixed" if {"avx512_bf16", "amx_bf16"} & set(flags) else "32-true"


def sweep_folder(resume: str | None, root: str, name: str) -> str:
    """Return where a sweep works: in ``root/name``, or in the folder that it goes on in.

    Args:
        resume: None; a sweep's folder; or ``auto``, the newest sweep under ``root`` that is not
            finished.

    Raises:
        ValueError: there is no such sweep.
    """
    if resume is None:
        return f"{root}/{name}"
    if resume != "auto":
        if not (Path(resume) / SWEEP).is_file():
            raise ValueError(f"sweep.resume: {resume} holds no sweep of a tuner")
        return str(Path(resume).absolute())
    for manifest in sorted(Path(root).glob(f"*/*/{SWEEP}"), reverse=True):
        folder = manifest.parents[1]
        trials = folder / "trials.json"
        if not trials.is_file() or json.loads(trials.read_text())["status"] != "finished":
            return str(folder.absolute())
    raise ValueError(f"sweep.resume: under {root} there is no sweep that is not finished")


def register() -> None:
    """Make the resolvers of ``conf/`` known; calling it again changes nothing."""
    OmegaConf.register_new_resolver("sweep_folder", sweep_folder, replace=True)
    OmegaConf.register_new_resolver("project", lambda: str(PROJECT), replace=True)
    OmegaConf.register_new_resolver("cpu_precision", cpu_precision, replace=True)
