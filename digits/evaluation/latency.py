"""How long one answer takes, and how many come in a second."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digits.evaluation.classify import Classify

WARM_UP = 10  # answers before the clock counts: memory is laid out, kernels are chosen


@dataclass(frozen=True)
class Latency:
    """Wall time of single answers, in seconds.

    Attributes:
        median_seconds: half of the answers took less.
        p95_seconds: 95 of 100 took less.
    """

    median_seconds: float
    p95_seconds: float


def latency(classify: Classify, image: NDArray[np.uint8], *, repeats: int) -> Latency:
    """Time ``repeats`` answers to one image uint8 ``[28, 28]``, each in a batch of one."""
    batch = image[np.newaxis]
    for _ in range(WARM_UP):
        classify(batch)
    seconds = np.empty(repeats)
    for index in range(repeats):
        start = time.perf_counter()
        classify(batch)
        seconds[index] = time.perf_counter() - start
    return Latency(float(np.median(seconds)), float(np.quantile(seconds, 0.95)))


def machine() -> str:
    """Say what the times were measured on: cores, processor, threads allowed, how busy it is."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    said = [f"{cores} {'core' if cores == 1 else 'cores'}", platform.machine()]
    if threads := os.environ.get("OMP_NUM_THREADS"):
        said.append(f"OMP_NUM_THREADS={threads}")
    if hasattr(os, "getloadavg"):  # not on Windows
        said.append(f"{os.getloadavg()[0]:.1f} processes at work")
    return ", ".join(said)
