"""`task=evaluate` on a registered model: what it writes, tracks and refuses."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from digits.contract.manifest import Manifest
from digits.data.types import Split
from digits.errors import DataError, MissingExtraError, RegistryError
from digits.evaluation import classification_report
from digits.evaluation.corruptions import CORRUPTIONS
from digits.registry.versions import register
from digits.tasks.evaluate import evaluate
from digits.tracking.store import Tracking


class Given:
    """A data source that delivers what it was given."""

    def __init__(self, digits):
        self.digits = digits

    def load(self):
        return self.digits


@pytest.fixture
def registered(stored):
    client, run_id, manifest = stored
    register(client, name="digits", run_id=run_id, manifest=manifest)
    return stored


@pytest.fixture
def judge(registered, store, record, digits, tmp_path):
    """Evaluate the registered version with its run folder beside that of the training."""
    folder = tmp_path / "evaluations" / "1"
    folder.mkdir(parents=True)
    job = dataclasses.replace(
        record, folder=folder, task="evaluate", overrides=["task=evaluate", "version=1"]
    )
    job.config_file.write_text("seed: 3\n")

    def judge(data=digits, **options):
        given = {"version": "challenger", "classification_report": False} | options
        value = evaluate(
            job,
            source=Given(data),
            tracking=Tracking(uri=store),
            cache=str(tmp_path / "cache"),
            **given,
        )
        return value, folder / "evaluation"

    return judge


def read(folder):
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def evaluations(client):
    experiment = client.get_experiment_by_name("digits")
    return client.search_runs(
        [experiment.experiment_id], filter_string="tags.`digits.task` = 'evaluate'"
    )


def test_evaluation_is_written_tracked_and_marked_on_the_version(judge, registered, digits, capsys):
    client, run_id, _ = registered
    accuracy, folder = judge(dataclasses.replace(digits, description="<b>bars</b> & more"))
    facts = read(folder)
    onnx, torch = facts["runtimes"]["onnx"], facts["runtimes"]["torch"]
    assert onnx["accuracy"] == torch["accuracy"] == accuracy
    assert facts["agreement"]["disagreements"] == 0
    assert set(facts["robustness"]["accuracy"]) == set(CORRUPTIONS)
    assert len(facts["stability"]["kept"]) == 8
    assert sum(map(sum, facts["confusion"])) == onnx["count"] == 80
    assert facts["calibration"]["fitted"]  # this bundle brings no temperature
    (run,) = evaluations(client)
    assert run.info.status == "FINISHED"
    tracked = {name: run.data.metrics[name] for name in facts["metrics"]}
    assert tracked == pytest.approx(facts["metrics"])
    assert run.data.tags["digits.model_version"] == "digits/1"
    assert run.data.tags["digits.model_run_id"] == run_id
    (entry,) = run.inputs.dataset_inputs
    assert entry.tags[0].value == "evaluation"
    names = {each.path for each in client.list_artifacts(run.info.run_id, "evaluation")}
    assert {f"evaluation/{name}" for name in ("report.html", "report.json", "figures")} <= names
    tags = client.get_model_version("digits", "1").tags
    assert tags["evaluation.bars.run_id"] == run.info.run_id
    assert float(tags["evaluation.bars.accuracy"]) == pytest.approx(accuracy, abs=1e-6)
    printed = capsys.readouterr().out
    for words in ("digits version 1", "95 % interval", "15 corruptions", "report.html", "Next:"):
        assert words in printed
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;bars&lt;/b&gt; &amp; more" in page
    assert_needs_nothing_beside_it(page)


def assert_needs_nothing_beside_it(page):
    addresses = re.findall(r'(?:src|srcset|href)="([^"]*)"', page)
    assert len(addresses) > 12
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    assert not any(words in page for words in ("url(", "<script", "@import"))
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


def test_every_gap_in_what_was_given_is_said(judge, record, digits):
    """An older bundle, on a single class of other data that has no validation split."""
    bundle = record.folder / "bundle"
    manifest = Manifest.read(bundle)
    files = {name: each for name, each in manifest.files.items() if name != "config.yaml"}
    manifest.model_copy(update={"files": files}).write(bundle)
    (bundle / "config.yaml").unlink()
    fours = digits.test.take(np.flatnonzero(digits.test.labels == 4))
    none = digits.validation.take(np.arange(0))
    data = dataclasses.replace(digits, validation=none, test=fours)
    _, folder = judge(data, version=str(bundle), classification_report=True)
    facts = read(folder)
    assert list(facts["runtimes"]) == ["onnx"]
    assert facts["calibration"]["temperature"] is None
    assert facts["calibration"]["before"] == facts["calibration"]["after"]
    assert not (folder / "evidently.html").exists()
    told = " ".join(facts["subject"]["notes"])
    for words in (
        "torch is left out",
        "has no temperature",
        "no validation split",
        "may be among those",
        "Only 1 of the ten digits",
        "Evidently's report is left out",
    ):
        assert words in told
    with pytest.raises(RegistryError, match=r"has no config\.yaml"):
        judge(version=str(bundle), runtime="torch")


def test_empty_split_is_refused(judge, digits, registered):
    empty = Split(np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.int64))
    with pytest.raises(DataError, match="its test split is empty"):
        judge(dataclasses.replace(digits, test=empty))
    (run,) = evaluations(registered[0])
    assert run.info.status == "FAILED"


def test_unknown_version_is_refused_before_anything_is_recorded(judge, registered):
    with pytest.raises(RegistryError, match=r"champion is no version .*challenger \(1\)"):
        judge(version="champion")
    assert not evaluations(registered[0])


def test_missing_evidently_is_said_before_anything_else(judge, monkeypatch):
    monkeypatch.setattr(classification_report.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"bootstrap monitor; .*classification_report=fal"):
        judge(version="nothing", classification_report=True)


def test_evidently_writes_one_page_on_all_ten_digits(tmp_path):
    pytest.importorskip("evidently", reason="needs the extra monitor", exc_type=ImportError)
    labels = np.arange(60) % 10
    probabilities = np.full((60, 10), 0.02)
    probabilities[np.arange(60), labels] = 0.82
    probabilities[0] = probabilities[1]  # one of 60 is wrong
    file = classification_report.write_classification_report(
        labels, probabilities, tmp_path / "page.html", seed=0
    )
    page = file.read_text(encoding="utf-8")
    assert "0.983" in page  # its accuracy
    assert not re.findall(r'<(?:script|link)[^>]*(?:src|href)="?http', page)
