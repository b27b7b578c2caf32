"""`task=drift` on a registered model: what it judges, keeps, fetches again and refuses."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import pytest

from digits.contract.drift_history import DriftHistory
from digits.contract.label import Queued
from digits.contract.labelling import LabelStore
from digits.contract.moment import moment
from digits.contract.prediction import Prediction, new_id
from digits.contract.traffic import TrafficStore
from digits.errors import CannotTellError, ConfigError, DataError, DriftError, RegistryError
from digits.monitoring.limits import Limits
from digits.registry.bundle import Origin, write_bundle
from digits.registry.versions import register
from digits.tasks.drift import drift
from digits.tracking.record import Record
from digits.tracking.store import Tracking
from digits.training.export import to_onnx
from digits.training.serving_parts import serving_parts

PLAIN = Limits(evidently=False)
STRICT = Limits(evidently=False, fail=True)


class Given:
    """A data source that delivers what it was given; None: that can no longer be read."""

    def __init__(self, digits):
        self.digits = digits

    def load(self):
        if self.digits is None:
            raise DataError("data.root: gone")
        return self.digits


@pytest.fixture(scope="module")
def parts(classifier_of_scans, scans, tmp_path_factory):
    """The files of a bundle of the real scans, with everything that serving has of it."""
    folder = tmp_path_factory.mktemp("parts")
    standard = classifier_of_scans.standard
    to_onnx(
        classifier_of_scans.network,
        mean=standard.mean,
        std=standard.std,
        file=folder / "model.onnx",
    )
    (folder / "config.yaml").write_text("seed: 0\n")
    return folder, serving_parts(classifier_of_scans, scans, temperature=1.0, folder=folder)


@pytest.fixture(scope="module")
def tracking(tmp_path_factory):
    """The store of all tests here: a reference takes a while to make."""
    return Tracking(uri=f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db")


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Return a function that makes a job with a folder of its own."""

    def job(task):
        folder = tmp_path_factory.mktemp(task)
        made = Record(folder, task, "d" * 64, {}, [], 3)
        made.config_file.write_text("seed: 3\n")
        return made

    return job


@pytest.fixture(scope="module")
def enter(parts, classifier_of_scans, scans, tracking, job):
    """Return a function that registers the model once more, and returns its version."""
    folder, extra = parts

    def enter():
        training = job("train")
        with tracking.start(training) as run:
            manifest = write_bundle(
                training.folder / "bundle",
                network=classifier_of_scans.network,
                graph=folder / "model.onnx",
                config=folder / "config.yaml",
                example=scans.test.images[:2],
                preprocessing=classifier_of_scans.standard,
                origin=Origin(run.id, "uci", scans.digest, {}),
                parts=extra,
            )
            run.log_folder(training.folder / "bundle", "bundle")
        return register(run.client, name="digits", run_id=run.id, manifest=manifest).number

    return enter


@pytest.fixture(scope="module")
def run(tracking, job, scans, tmp_path_factory):
    """Return a function that runs the task, and returns what it has found."""
    cache = str(tmp_path_factory.mktemp("cache"))

    def run(source=scans, *, limits=PLAIN, action="check", cache=cache, **options):
        watching = job("drift")
        drift(
            watching, action=action, source=Given(source), limits=limits,
            tracking=tracking, cache=cache, **options,
        )  # fmt: skip
        file = watching.folder / "drift.json"
        return json.loads(file.read_text()) if file.exists() else None

    return run


@pytest.fixture(scope="module")
def calibrated(enter, run):
    """The version of a model that has its reference."""
    number = enter()
    run(action="calibrate", version=number, traffic_url=None)
    return number


@pytest.fixture
def world(run, calibrated, tmp_path):
    """Return a function that runs the task on that model, beside a traffic store of its own."""
    defaults = {"version": calibrated, "traffic_url": f"sqlite:///{tmp_path}/traffic.db"}
    return lambda source=None, **options: run(source, **defaults | options)


def stored(images, file, labels=None):
    arrays = {"images": images} | ({} if labels is None else {"labels": labels})
    np.savez(file, **arrays)
    return str(file)


def serve(store, images, digits, *, pixels=True, version="digits/1"):
    """Keep answers to these images, a second apart."""
    now = time.time() - len(images)
    rows = []
    for place, (image, digit) in enumerate(zip(images, digits, strict=True)):
        shares = np.full(10, 0.01, "<f4")
        shares[digit] = 0.91
        kept = image.tobytes() if pixels else None
        rows.append(
            Prediction(
                new_id(),
                now + place,
                None,
                kept,
                shares.tobytes(),
                int(digit),
                0.91,
                True,
                version,
                "d",
                "/v1/predict",
            )
        )
    store.write(rows)
    return rows


def test_clean_images_are_steady_and_spoilt_ones_are_not(world, scans, tmp_path):
    clean = stored(scans.validation.images, tmp_path / "clean.npz", scans.validation.labels)
    found = world(file=clean)
    assert found["status"] == "steady"
    assert found["accuracy"]["labels"] == len(scans.validation)
    spoilt = 255 - scans.validation.images
    found = world(file=stored(spoilt, tmp_path / "spoilt.npz"))  # nothing is read again
    assert (found["status"], found["drift"]) == ("harmful", True)
    low, high = found["accuracy"]["interval"]
    assert low <= found["accuracy"]["estimate"] <= high
    assert found["foreign_share"] > 0.9


def test_exit_codes_tell_drift_from_what_cannot_be_told(world, scans, tmp_path):
    spoilt = stored(255 - scans.validation.images, tmp_path / "spoilt.npz")
    with pytest.raises(DriftError, match="points of accuracy") as caught:
        world(file=spoilt, limits=STRICT)
    assert caught.value.exit_code == 10
    with pytest.raises(CannotTellError, match="0 images are too few") as caught:
        world(limits=STRICT)  # an empty window
    assert caught.value.exit_code == 11
    with pytest.raises(CannotTellError, match="no reference"):
        world(version="champion", limits=STRICT)
    with pytest.raises(RegistryError, match="champion is no version"):
        world(version="champion")


def test_a_reference_is_kept_with_the_version_and_fetched(world, tmp_path, scans):
    file = stored(scans.validation.images, tmp_path / "clean.npz")
    elsewhere = {"file": file, "cache": str(tmp_path / "another machine")}
    assert world(**elsewhere)["status"] == "steady"
    (place,) = (tmp_path / "another machine" / "monitors").rglob("monitor.npz")
    place.write_bytes(b"damaged")
    assert world(**elsewhere)["status"] == "steady"  # fetched again: the digest is a tag


def test_without_a_reference_the_data_are_needed(enter, run, scans, tmp_path):
    options = {"version": enter(), "traffic_url": None}
    options["file"] = stored(scans.validation.images, tmp_path / "clean.npz")
    with pytest.raises(DataError, match="gone"):
        run(None, **options)
    small = dataclasses.replace(scans, test=scans.test.take(np.arange(50)))
    with pytest.raises(DataError, match="200 held-out images"):
        run(small, **options)
    with pytest.raises(CannotTellError, match="200 held-out images"):
        run(small, **options, limits=STRICT)


def test_traffic_is_judged_and_every_finding_is_kept(world, scans, tmp_path):
    url = f"sqlite:///{tmp_path}/traffic.db"
    store, labels = TrafficStore(url), LabelStore(url)
    served = scans.validation
    rows = serve(store, served.images, served.labels)
    first = world()
    assert (first["status"], first["images"]) == ("steady", len(served))
    for row, label in zip(rows[:20], served.labels[:20], strict=True):
        labels.enqueue([
            Queued(row.id, row.pixels, row.probabilities, row.digit, row.confidence, row.version,
                   0.0, "margin", row.time)
        ])  # fmt: skip
        labels.label(row.id, "rater_a", int(label))
    store.correct(rows[0].id, 3, origin="page")  # by whoever saw that it was wrong: no fair sample
    assert world()["accuracy"]["labels"] == 19
    assert world(last=30)["images"] == 30
    middle = rows[len(rows) // 2].time
    assert world(since=middle)["images"] == len(rows) - len(rows) // 2
    assert world(until=middle)["images"] == len(rows) // 2
    history = DriftHistory(url)
    found = history.recent()
    assert [each.images for each in found][:3] == [len(served), len(served), 30]
    assert {each.version for each in found} == {"digits/1"}
    for each in (store, labels, history):
        each.close()


def test_answers_alone_are_judged_where_no_pixels_were_kept(world, scans, tmp_path):
    store = TrafficStore(f"sqlite:///{tmp_path}/traffic.db")
    serve(store, scans.validation.images, np.full(len(scans.validation), 7), pixels=False)
    store.close()
    found = world()
    assert found["status"] in ("shifted", "harmful")
    assert found["signals"]["class_mix"] < 0.01


def test_reference_of_other_data_than_the_model_learned_is_refused(enter, run, scans, tmp_path):
    file = stored(scans.validation.images, tmp_path / "clean.npz")
    number, other = enter(), dataclasses.replace(scans, name="mnist")
    for action in ("check", "calibrate"):
        with pytest.raises(ConfigError, match=f"data  digits version {number} learned from uci"):
            run(other, action=action, version=number, traffic_url=None, file=file)
    assert run(version=number, traffic_url=None, file=file)["status"] == "steady"


def test_answers_of_another_model_are_not_judged(world, scans, tmp_path):
    store = TrafficStore(f"sqlite:///{tmp_path}/traffic.db")
    images, labels = scans.validation.images, scans.validation.labels
    serve(store, images[:60], labels[:60])
    serve(store, 255 - images, labels, version="other/1")
    store.close()
    for bounds in ({}, {"since": "1d"}):
        found = world(**bounds)
        assert found["status"] == "steady"
        assert found["window"].startswith("60 predictions")


def test_an_older_bundle_has_fewer_signals(make, run, scans, tmp_path):
    make(tmp_path / "old")
    file = stored(scans.validation.images, tmp_path / "clean.npz")
    bars = dataclasses.replace(scans, name="bars")  # which that bundle has learned
    signals = run(bars, version=str(tmp_path / "old"), traffic_url=None, file=file)["signals"]
    assert {"softmax", "class_mix", "shape", "doubt"} <= signals.keys()
    assert "novelty" not in signals


@pytest.mark.parametrize(
    ("typed", "ago"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("7d", 604_800)]
)
def test_an_age_is_a_time(typed, ago):
    assert moment(typed, key="since", now=1e9) == 1e9 - ago


def test_a_time_is_in_utc_where_it_names_no_zone():
    assert moment("2026-01-31T12:00", key="since", now=0) == 1_769_860_800
    assert moment("2026-01-31T13:00+01:00", key="since", now=0) == 1_769_860_800
    assert moment(1_769_860_800.5, key="since", now=0) == 1_769_860_800.5


@pytest.mark.parametrize("typed", ["yesterday", 12.5, 20260131, True, "9e99d"])
def test_what_is_no_time_is_refused(typed):
    with pytest.raises(ConfigError, match=r"since.*no time"):
        moment(typed, key="since", now=1e9)


def test_files_of_every_kind_are_windows(tmp_path, scans):
    from PIL import Image

    from digits.contract.preprocessing import Preprocessing
    from digits.monitoring.window_file import of_file

    images = scans.validation.images[:3]
    file = tmp_path / "images.idx"
    header = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in images.shape)
    file.write_bytes(header + images.tobytes())
    window = of_file(file, Preprocessing())
    assert np.array_equal(window.images, images)
    assert len(window.labelled) == 0
    folder = tmp_path / "pictures"
    for place, name in enumerate(("3", "unsorted")):
        (folder / name).mkdir(parents=True)
        Image.fromarray(255 - images[place]).save(folder / name / "a.png")
    window = of_file(folder, Preprocessing())
    assert window.labels.tolist() == [3, -2]
    with pytest.raises(DataError, match="images are uint8"):
        of_file(Path(stored(images[:, :20], tmp_path / "small.npz")), Preprocessing())
    with pytest.raises(DataError, match="cannot be read"):
        of_file(file.rename(tmp_path / "none.npz"), Preprocessing())
    with pytest.raises(DataError, match=r"^file: .*absent is missing$"):
        of_file(tmp_path / "absent", Preprocessing())
