"""Evidently's drift report, for whoever knows it: HTML and JSON beside our own verdict.

Its test counts the columns that have drifted by Wasserstein's distance of a tenth of a standard
deviation (Jensen and Shannon's for digits): effect sizes, which no number of rows makes
significant. Our verdict is not taken from it, since it keeps no budget of false alarms.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from digits.evaluation.classification_report import without_noise
from digits.features.shape import SHAPE_NAMES
from digits.monitoring.signals import Signals

if TYPE_CHECKING:
    import pandas as pd

ROWS = 2000  # of each side: more make the page slow, and no more telling
SHARE = 0.5  # of the columns: Evidently's own limit
METHODS: dict[str, Any] = {
    "num_method": "wasserstein",
    "cat_method": "jensenshannon",
    "drift_share": SHARE,
}
HTML, JSON = "evidently.html", "evidently.json"


@dataclass(frozen=True)
class Columns:
    """What Evidently has counted: columns that drifted, of how many; whether its test passed."""

    drifted: int
    all: int
    passed: bool


def write_drift_report(reference: Signals, window: Signals, folder: Path, *, seed: int) -> Columns:
    """Write the page and its numbers to ``folder``, of at most 2,000 images of either side.

    Args:
        reference: what it is held against.
        window: N above 0; it has what the reference has.
        folder: is there.
        seed: chooses the images.
    """
    with without_noise():
        # Six seconds and a web framework: imported only where a report is written.
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import DriftedColumnsCount
        from evidently.presets import DataDriftPreset
        from evidently.tests import lte

        random = np.random.default_rng(seed)
        frames = [_frame(_some(each, random)) for each in (reference, window)]
        # A column that never changes has no distance from another.
        names = [name for name in frames[0].columns if frames[0][name].nunique() > 1]
        roles = DataDefinition(
            numerical_columns=[name for name in names if name != "digit"],
            categorical_columns=["digit"],
        )
        known, seen = (
            Dataset.from_pandas(each[[*dict.fromkeys([*names, "digit"])]], data_definition=roles)
            for each in frames
        )
        count = DriftedColumnsCount(**METHODS, share_tests=[lte(SHARE)])
        snapshot = Report([count, DataDriftPreset(**METHODS)]).run(seen, known)
        snapshot.save_html(str(folder / HTML))
        snapshot.save_json(str(folder / JSON))
        counted = snapshot.dict()["metrics"][0]["value"]
        passed = all(test.status.value == "SUCCESS" for test in snapshot.tests_results)
    return Columns(round(counted["count"]), len(names), passed)


def _some(signals: Signals, random: np.random.Generator) -> Signals:
    count = min(ROWS, len(signals))
    return signals.take(np.sort(random.choice(len(signals), count, replace=False)))


def _frame(signals: Signals) -> pd.DataFrame:
    import pandas as pd

    columns = dict(signals.scores)
    columns |= {f"p{digit}": signals.probabilities[:, digit] for digit in range(10)}
    if signals.shape is not None:
        columns |= dict(zip(SHAPE_NAMES, signals.shape.T, strict=True))
    frame = pd.DataFrame({name: values.astype(float) for name, values in columns.items()})
    frame["digit"] = signals.probabilities.argmax(1).astype(str)
    return frame
