"""The model card: what a version is, how good it is, and what it is not for, as Markdown.

The headings follow Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from digits.promotion.criteria import MILLISECONDS, SHARE, written
from digits.promotion.evidence import NO_CHAMPION
from digits.promotion.gate import HISTORY

DESCRIPTION_CHARACTERS = 5000  # what a registry's database holds


def model_card(facts: Mapping[str, Any], *, name: str, tracking_uri: str) -> str:
    """Return the card of the challenger of a decision.

    Args:
        facts: what ``evidence.document`` makes of the case.
        name: the registered model.
        tracking_uri: where it is registered, as it may be shown.
    """
    model, data = facts["challenger"], facts["data"]
    sections = [
        f"# {model['name']}",
        _what_it_is(model),
        "## Figures",
        f"On {data['count']:,} held-out digits of {data['name']} (`{data['digest']}`):",
        _figures(facts),
        "## Each digit",
        _classes(model),
        "## Robustness",
        _robustness(model),
        "## Limits",
        _limits(facts),
        "## How to load",
        _loading(model, name, tracking_uri),
        "## Lineage",
        _lineage(facts),
    ]
    return "\n\n".join(sections) + "\n"


def description(card: str, *, run_id: str) -> str:
    """Return the card as a version's description, cut where a registry would refuse it."""
    if len(card) <= DESCRIPTION_CHARACTERS:
        return card
    rest = f"\n\n(The whole card is an artifact of run {run_id}.)\n"
    kept = card[: DESCRIPTION_CHARACTERS - len(rest)]
    return kept.rpartition("\n")[0] + rest


def _what_it_is(model: Mapping[str, Any]) -> str:
    return (
        f"Reads one handwritten digit (0 to 9) from a 28x28 grey picture. "
        f"{model['parameters']:,} parameters, ONNX file of {model['onnx_bytes'] / 1000:,.0f} kB, "
        f"trained {model['created']} on {model['learned_from']} "
        f"(`{model['learned_digest']}`)."
    )


def _figures(facts: Mapping[str, Any]) -> str:
    model = facts["challenger"]
    interval = (
        f"95 % interval {written(model['accuracy_low'], SHARE)} to "
        f"{written(model['accuracy_high'], SHARE)}"
    )
    rows = [
        ("accuracy", f"{written(model['accuracy'], SHARE)} ({interval})"),
        ("macro-F1", written(model["macro_f1"], SHARE)),
        ("loss", f"{model['loss']:.4f} nats"),
        ("calibration error", f"{written(model['calibration_error'], SHARE)}{_temperature(model)}"),
        ("one answer", written(1000 * model["seconds"], MILLISECONDS) + f" ({facts['machine']})"),
    ]
    return _table(("figure", "value"), rows)


def _temperature(model: Mapping[str, Any]) -> str:
    temperature = model["temperature"]
    return ", not calibrated" if temperature is None else f", at temperature {temperature:.3f}"


def _classes(model: Mapping[str, Any]) -> str:
    rows = [
        (
            str(score["label"]),
            f"{score['count']:,}",
            written(score["precision"], SHARE),
            written(score["recall"], SHARE),
        )
        for score in model["classes"]
    ]
    return _table(("digit", "count", "precision", "recall"), rows)


def _robustness(model: Mapping[str, Any]) -> str:
    held = sorted(model["robustness"].items(), key=lambda item: item[1])
    mean = sum(share for _, share in held) / len(held)
    listed = ", ".join(f"{name.replace('_', ' ')} {written(share, SHARE)}" for name, share in held)
    return f"Read right under corruption: {written(mean, SHARE)} on average. {listed}."


def _limits(facts: Mapping[str, Any]) -> str:
    model = facts["challenger"]
    known = [score for score in model["classes"] if score["recall"] is not None]
    weakest = min(known, key=lambda score: score["recall"])
    worst = min(model["robustness"], key=lambda name: model["robustness"][name])
    lines = [
        "For single digits only: no letters, no numbers of several digits. Whatever it is shown, "
        "it names a digit.",
        f"It reads the digit {weakest['label']} worst ({written(weakest['recall'], SHARE)}), and "
        f"{worst.replace('_', ' ')} disturbs it most "
        f"({written(model['robustness'][worst], SHARE)}).",
        "The figures are of digits like those it learned from; other writers, pens and scanners "
        "are not among them.",
        *(note for note in facts["notes"] if note != NO_CHAMPION),
    ]
    failed = [each for each in facts["criteria"] if not each["passed"] and each["name"] != HISTORY]
    lines += [f"The gate turned it away: {each['name']}: {each['why']}." for each in failed]
    return "\n".join(f"- {line}" for line in lines)


def _loading(model: Mapping[str, Any], name: str, tracking_uri: str) -> str:
    return (
        "```python\n"
        "import mlflow, numpy\n"
        f'mlflow.set_tracking_uri("{tracking_uri}")\n'
        f'model = mlflow.pyfunc.load_model("models:/{name}/{model["version"]}")\n'
        'logits = model.predict({"pixels": numpy.zeros((1, 28, 28), numpy.uint8)})["logits"]\n'
        "```\n\n"
        "Pixels are uint8, background 0, ink high; divide logits by the temperature before the "
        "softmax."
    )


def _lineage(facts: Mapping[str, Any]) -> str:
    model = facts["challenger"]
    rows = [
        ("training run", f"`{model['run_id']}`"),
        ("training data", f"{model['learned_from']} `{model['learned_digest']}`"),
        ("ONNX sha256", f"`{model['onnx_sha256']}`"),
        ("judged by run", f"`{facts['run_id']}`, code `{facts['commit']}`"),
        ("decision", f"{facts['decision']}, {facts['decided']}"),
    ]
    return _table(("what", "id"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
