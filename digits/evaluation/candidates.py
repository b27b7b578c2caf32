"""Judge models by one code, whatever computes them; several side by side, on the same images."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from digits.data.types import Digits, Split
from digits.errors import DataError
from digits.evaluation.abstention import abstention
from digits.evaluation.calibration import fit_temperature, reliability
from digits.evaluation.classify import Classify, Compared
from digits.evaluation.corruptions import CORRUPTIONS
from digits.evaluation.evaluation import Evaluation, RuntimeResult
from digits.evaluation.latency import latency
from digits.evaluation.metrics import report
from digits.evaluation.robustness import corrupted
from digits.evaluation.stability import DIRECTIONS, Stability, stability

LATENCY_REPEATS = 300

Step = Callable[[str], None]


@dataclass(frozen=True)
class Candidate:
    """A model that is to be judged.

    Attributes:
        runtimes: name -> the model; figures are of the first, and with a second one it is said how
            far the two agree.
        temperature: what its logits are to be divided by; None has one fitted on the validation
            split of the data it is judged on, where there is one.
    """

    runtimes: Mapping[str, Classify]
    temperature: float | None


def evaluate_candidates(
    candidates: Sequence[Candidate],
    data: Digits,
    *,
    seed: int,
    step: Step = lambda done: None,
) -> list[Evaluation]:
    """Judge models on the test split of ``data``, all of them on the very same images.

    Times come first, one model after the other, and each corruption is made once for all.

    Args:
        candidates: the models.
        data: its test split is judged; nothing but a temperature is fitted, on its validation.
        seed: of the corruptions.
        step: called with the name of each part that is done; :func:`steps` of them.

    Returns:
        One evaluation for each candidate, in their order.

    Raises:
        DataError: the test split is empty, or a model answers with what is no number.
    """
    test = data.test
    if not len(test):
        raise DataError(f"{data.name}: its test split is empty: there is nothing to evaluate on")
    clean = [
        {name: _judge(name, ask, test, step=step) for name, ask in candidate.runtimes.items()}
        for candidate in candidates
    ]
    asked = [_compared(candidate) for candidate in candidates]
    moved = [
        stability(ask, test.images, progress=lambda: step("one-pixel shifts")) for ask in asked
    ]
    held: list[dict[str, float]] = [{} for _ in asked]
    for name, spoilt in corrupted(test.images, seed=seed):
        for ask, shares in zip(asked, held, strict=True):
            shares[name] = float((ask(spoilt).argmax(1) == test.labels).mean())
        step(name)
    return [
        _evaluation(candidate, data, runtimes=runtimes, ask=ask, stability=moves, robustness=shares)
        for candidate, runtimes, ask, moves, shares in zip(
            candidates, clean, asked, moved, held, strict=True
        )
    ]


def steps(candidates: Sequence[Candidate]) -> int:
    """Return how often ``step`` is called."""
    return sum(len(each.runtimes) + len(DIRECTIONS) for each in candidates) + len(CORRUPTIONS)


def _compared(candidate: Candidate) -> Classify | Compared:
    """Return what answers for a candidate, and with two runtimes counts where they differ."""
    first, *others = candidate.runtimes.values()
    return Compared(first, others[0]) if others else first


def _evaluation(
    candidate: Candidate,
    data: Digits,
    *,
    runtimes: Mapping[str, RuntimeResult],
    ask: Classify | Compared,
    stability: Stability,
    robustness: Mapping[str, float],
) -> Evaluation:
    """Put together what is known of a candidate, and calibrate it."""
    test, first = data.test, next(iter(runtimes.values()))
    temperature = candidate.temperature
    fitted = temperature is None and len(data.validation) > 0
    if fitted:
        logits = next(iter(candidate.runtimes.values()))(data.validation.images)
        temperature = fit_temperature(logits, data.validation.labels)
    divided = first.logits.astype(np.float64) / (temperature or 1.0)
    probabilities = softmax(divided, axis=1)
    correct = first.logits.argmax(1) == test.labels
    raw = softmax(first.logits.astype(np.float64), axis=1)
    return Evaluation(
        test=test,
        runtimes=runtimes,
        temperature=temperature,
        fitted=fitted,
        probabilities=probabilities,
        calibrated=report(divided, test.labels),
        raw_reliability=reliability(raw.max(1), correct),
        reliability=reliability(probabilities.max(1), correct),
        abstention=abstention(probabilities.max(1), correct),
        stability=stability,
        robustness=robustness,
        agreement=ask.agreement if isinstance(ask, Compared) else None,
        machine=machine(),
    )


def _judge(name: str, classify: Classify, test: Split, *, step: Step) -> RuntimeResult:
    single = latency(classify, test.images[0], repeats=LATENCY_REPEATS)
    start = time.perf_counter()
    logits = classify(test.images)
    seconds = time.perf_counter() - start
    judged = report(logits, test.labels)
    step(f"{name}: {len(test):,} digits")
    return RuntimeResult(logits, judged, single, len(test) / seconds)


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
