"""What every test stands on: the switches before any import, one thread, a synthetic digit set."""
# ruff: noqa: E402  (the switches must precede every library)

from __future__ import annotations

import os

# Two workers and their thread pools on two cores only get in each other's way.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from digits.contract import switches

switches.apply()

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from digits.data.types import Digits, Split
from digits.tracking.record import Record


def drawn(count: int, seed: int) -> Split:
    """Bars in ten places, blurred by noise: a network learns them in seconds, not at once."""
    random = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 10
    images = random.integers(0, 90, (count, 28, 28))
    for image, label in zip(images, labels, strict=True):
        row, column = 3 + 5 * (label % 5), 4 + 12 * (label // 5)
        top, left = np.array([row, column]) + random.integers(-1, 2, 2)
        image[top : top + 3, left : left + 9] += random.integers(60, 160)
    return Split(images.astype(np.uint8), labels)


@pytest.fixture(scope="session")
def digits() -> Digits:
    """300 images to train on, 70 to validate, 80 to test."""
    return Digits("bars", "450 drawn bars", drawn(300, 0), drawn(70, 1), drawn(80, 2))


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """A job's record in a run folder of its own, its configuration already written."""
    folder = tmp_path / "runs" / "2020-01-01" / "12-00-00"
    folder.mkdir(parents=True)
    record = Record(folder, "train", "c0ffee", {"seed": 3, "model.width": 8}, ["seed=3"], 3)
    record.config_file.write_text("seed: 3\n")
    return record


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file that MLflow has migrated, which takes it seconds; to be copied."""
    from digits.tracking.store import Tracking

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    Tracking(uri=f"sqlite:///{file}").client()
    with sqlite3.connect(file) as connection:
        connection.execute("DELETE FROM experiments WHERE name = 'digits'")
    connection.close()
    return file


@pytest.fixture
def store(migrated_store: Path, tmp_path: Path) -> str:
    """The address of a store of this test's own, without experiments."""
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"
