"""One criterion of the gate: its value, its limits, and in words why it is met or not."""

from __future__ import annotations

from dataclasses import dataclass

from digits.promotion.paired import Difference, McNemar

SHARE = "share"
MILLISECONDS = "ms"
MEGABYTES = "MB"
NUMBER = ""


@dataclass(frozen=True)
class Criterion:
    """What was asked of a model, and what it has.

    Attributes:
        name: of the criterion.
        unit: share (0..1), ms, MB (10^6 bytes) or none.
        value: the challenger's; None where it cannot be measured.
        passed: whether it is met.
        why: in words.
        champion: the champion's value; None without a champion, or where it cannot be measured.
        limit: the limit that stands by itself; None: not applied.
        margin: what may be lost against the champion (a multiple for ms and MB); None: not applied.
        low_is_good: whether the limit is an upper one.
        difference: challenger minus champion with its interval, where images are drawn anew.
    """

    name: str
    unit: str
    value: float | None
    passed: bool
    why: str
    champion: float | None = None
    limit: float | None = None
    margin: float | None = None
    low_is_good: bool = False
    difference: Difference | None = None


def written(value: float | None, unit: str) -> str:
    """Write a value with its unit; a dash where there is none."""
    if value is None:
        return "–"
    if unit == SHARE:
        return f"{100 * value:.2f} %"
    if unit == NUMBER:
        return f"{value:.2f}"
    return f"{value:.3g} {unit}"


def judged(
    name: str,
    unit: str,
    value: float | None,
    champion: float | None,
    *,
    limit: float | None,
    margin: float | None,
    low_is_good: bool,
    fault: str | None,
    difference: Difference | None = None,
    unknown: str = "it cannot be measured",
) -> Criterion:
    """Hold a value against its limit, and against the champion's.

    Args:
        name, unit: of the criterion.
        value: the challenger's; None fails, unless neither limit is applied.
        champion: the champion's; None: there is nothing to compare with.
        limit: at least this, or at most where ``low_is_good``; None: not applied.
        margin: what may be lost against the champion; None: not compared.
        low_is_good: whether less is better.
        fault: what is wrong with the value against the champion's, or None.
        difference: to be told.
        unknown: why a value may be None.
    """
    faults: list[str] = []
    praises: list[str] = []
    if value is None:
        if limit is not None or margin is not None:
            faults.append(unknown)
    else:
        if limit is not None:
            beyond = value > limit if low_is_good else value < limit
            bound = f"{'at most' if low_is_good else 'at least'} {written(limit, unit)}"
            (faults if beyond else praises).append(f"{written(value, unit)}, {bound} wanted")
        if fault:
            faults.append(fault)
        elif champion is not None and margin is not None:
            praises.append(f"holds against the champion's {written(champion, unit)}")
    return Criterion(
        name=name,
        unit=unit,
        value=value,
        passed=not faults,
        why="; ".join(faults or praises) or "no limit is set",
        champion=champion,
        limit=limit,
        margin=margin,
        low_is_good=low_is_good,
        difference=difference,
    )


def ratio_fault(
    new: float, old: float | None, ratio: float | None, *, slack: float = 0.0
) -> str | None:
    """Say how far ``new`` is beyond ``ratio`` times ``old``, if by more than ``slack`` too."""
    if old is None or ratio is None or new <= ratio * old or new - old <= slack:
        return None
    return f"{new / old:.2f} times the champion's, {ratio:g} times are allowed"


def accuracy_fault(loss: float, margin: float, test: McNemar, significance: float) -> str | None:
    """Say that accuracy is lost: not by chance, or by more than ``margin``."""
    counts = f"{test.lost} digits lost, {test.gained} gained, p = {test.p_value:.2g}"
    if test.lost > test.gained and test.p_value < significance:
        return f"worse than the champion, and not by chance ({counts})"
    if loss > margin:
        allowed = written(margin, SHARE)
        return f"{written(loss, SHARE)} below the champion, {allowed} are allowed ({counts})"
    return None


def loss_fault(difference: Difference, margin: float, *, low_is_good: bool) -> str | None:
    """Say that a loss is beyond its margin, if it is and chance does not explain it."""
    loss = difference.value if low_is_good else -difference.value
    is_real = difference.low > 0 if low_is_good else difference.high < 0
    if loss <= margin or not is_real:
        return None
    allowed = written(margin, SHARE)
    return f"{written(loss, SHARE)} worse than the champion, {allowed} allowed, not by chance"
