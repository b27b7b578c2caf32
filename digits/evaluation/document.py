"""An evaluation as plain data: what ``report.json`` holds, and the page shows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from digits.evaluation.abstention import Abstention
from digits.evaluation.calibration import BINS, Reliability
from digits.evaluation.evaluation import Evaluation
from digits.evaluation.subject import Subject

SCHEMA_VERSION = 1
TARGETS = (0.99, 0.995, 0.999, 1.0)  # accuracies that abstaining is asked to reach
CURVE_POINTS = 200
MOST_MISTAKES = 1000
TOWARDS = {-1: ("up", "left"), 0: ("", ""), 1: ("down", "right")}


def document(subject: Subject, evaluation: Evaluation) -> dict[str, Any]:
    """Return everything as dicts, lists, text and numbers; what is not known is None.

    Shares are in 0..1, times in seconds, losses in nats.
    """
    mistakes = evaluation.mistakes(MOST_MISTAKES)
    answers = evaluation.probabilities.argmax(1)
    return {
        "schema_version": SCHEMA_VERSION,
        "subject": asdict(subject) | {"notes": list(subject.notes)},
        "metrics": metrics(subject, evaluation),
        "runtimes": {
            name: {
                **_scalars(result.report),
                "latency": asdict(result.latency),
                "images_per_second": result.images_per_second,
            }
            for name, result in evaluation.runtimes.items()
        },
        "agreement": asdict(evaluation.agreement) if evaluation.agreement else None,
        "machine": evaluation.machine,
        "classes": [asdict(score) for score in evaluation.classes],
        "confusion": evaluation.first.report.confusion.tolist(),
        "calibration": {
            "temperature": evaluation.temperature,
            "fitted": evaluation.fitted,
            "before": _bins(evaluation.raw_reliability),
            "after": _bins(evaluation.reliability),
            "loss_before": evaluation.first.report.loss,
            "loss_after": evaluation.calibrated.loss,
        },
        "abstention": _abstention(evaluation.abstention),
        "robustness": {
            "mean": evaluation.mean_robustness,
            "worst": evaluation.worst_corruption,
            "accuracy": dict(evaluation.robustness),
        },
        "stability": {
            "stable": evaluation.stability.stable,
            "kept": {
                " ".join(filter(None, (TOWARDS[down][0], TOWARDS[right][1]))): share
                for (down, right), share in evaluation.stability.kept.items()
            },
        },
        "mistakes": [
            {
                "index": int(index),
                "truth": int(evaluation.test.labels[index]),
                "answer": int(answers[index]),
                "confidence": float(evaluation.probabilities[index].max()),
            }
            for index in mistakes
        ],
    }


def metrics(subject: Subject, evaluation: Evaluation) -> dict[str, float]:
    """Return the scalars as they are tracked, the size included."""
    return {
        **evaluation.metrics(),
        "size/onnx_bytes": subject.onnx_bytes,
        "size/parameters": subject.parameters,
    }


def _scalars(report: Any) -> dict[str, float]:
    return {name: value for name, value in asdict(report).items() if name != "confusion"}


def _bins(reliability: Reliability) -> dict[str, Any]:
    return {
        "error": reliability.error,
        "largest_gap": reliability.largest_gap,
        "bins": [
            {"from": index / BINS, "to": (index + 1) / BINS, "count": int(count)}
            | (
                {
                    "confidence": float(reliability.confidence[index]),
                    "accuracy": float(reliability.accuracy[index]),
                }
                if count
                else {"confidence": None, "accuracy": None}
            )
            for index, count in enumerate(reliability.counts)
        ],
    }


def _abstention(curve: Abstention) -> dict[str, Any]:
    points = np.unique(np.linspace(0, len(curve.coverage) - 1, CURVE_POINTS).round().astype(int))
    reached = [(accuracy, curve.reaching(accuracy)) for accuracy in TARGETS]
    return {
        "risk_area": curve.risk_area,
        "reaching": [
            {"accuracy": accuracy, "coverage": found[0], "threshold": found[1]}
            if found
            else {"accuracy": accuracy, "coverage": None, "threshold": None}
            for accuracy, found in reached
        ],
        "curve": {
            "coverage": curve.coverage[points].tolist(),
            "accuracy": curve.accuracy[points].tolist(),
            "threshold": curve.thresholds[points].tolist(),
        },
    }
