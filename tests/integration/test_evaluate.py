"""`task=evaluate` on a registered model: what it writes, tracks and refuses."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from digits.contract.manifest import Manifest
from digits.data.types import Digits, Split
from digits.errors import DataError, MissingExtraError, RegistryError
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


def test_evaluation_is_written_tracked_and_marked_on_the_version(judge, registered, capsys):
    client, run_id, _manifest = registered
    accuracy, folder = judge()
    facts = read(folder)
    assert facts["runtimes"]["onnx"]["accuracy"] == accuracy
    assert set(facts["robustness"]["accuracy"]) == set(CORRUPTIONS)
    assert len(facts["stability"]["kept"]) == 8
    assert sum(map(sum, facts["confusion"])) == facts["runtimes"]["onnx"]["count"] == 80
    (run,) = evaluations(client)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test/accuracy"] == accuracy
    assert run.data.metrics["robustness/mean"] == facts["robustness"]["mean"]
    assert run.data.metrics["size/onnx_bytes"] == (folder.stat() and facts["subject"]["onnx_bytes"])
    assert run.data.tags["digits.model_version"] == "digits/1"
    assert run.data.tags["digits.model_run_id"] == run_id
    (entry,) = run.inputs.dataset_inputs
    assert entry.tags[0].value == "evaluation"
    names = {each.path for each in client.list_artifacts(run.info.run_id, "evaluation")}
    assert {"evaluation/report.html", "evaluation/report.json", "evaluation/figures"} <= names
    tags = client.get_model_version("digits", "1").tags
    assert tags["evaluation.bars.run_id"] == run.info.run_id
    assert float(tags["evaluation.bars.accuracy"]) == pytest.approx(accuracy, abs=1e-6)
    printed = capsys.readouterr().out
    for words in ("digits version 1", "95 % interval", "15 corruptions", "report.html", "Next:"):
        assert words in printed


def test_runtimes_are_judged_by_the_same_code_and_agree_on_every_image(judge):
    _, folder = judge(runtime="both")
    facts = read(folder)
    onnx, torch = facts["runtimes"]["onnx"], facts["runtimes"]["torch"]
    assert list(facts["runtimes"]) == ["onnx", "torch"]
    assert onnx["accuracy"] == torch["accuracy"]
    assert onnx["loss"] == pytest.approx(torch["loss"], abs=1e-4)
    # the digits as they are, in eight places, and corrupted
    assert facts["agreement"]["count"] == 80 * (1 + 8 + 1 + len(CORRUPTIONS))
    assert facts["agreement"]["disagreements"] == 0
    assert 0 <= facts["agreement"]["largest_difference"] < 1e-3


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_one_runtime_alone(judge, runtime):
    _, folder = judge(runtime=runtime)
    facts = read(folder)
    assert list(facts["runtimes"]) == [runtime]
    assert facts["agreement"] is None


def test_page_needs_nothing_beside_it(judge):
    _, folder = judge()
    text = (folder / "report.html").read_text(encoding="utf-8")
    addresses = re.findall(r'(?:src|srcset|href)="([^"]*)"', text)
    assert len(addresses) > 12
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    assert "url(" not in text and "<script" not in text and "@import" not in text
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_page_escapes_what_others_have_written(judge, digits):
    named = dataclasses.replace(digits, description="<b>bars</b> & more")
    _, folder = judge(named)
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;bars&lt;/b&gt; &amp; more" in text


def test_older_bundle_has_a_temperature_fitted_on_validation_and_says_so(judge, registered):
    _, folder = judge()
    facts = read(folder)
    assert facts["calibration"]["fitted"]
    assert any("has no temperature" in note for note in facts["subject"]["notes"])
    assert facts["calibration"]["loss_after"] <= facts["calibration"]["loss_before"] + 0.05


def test_temperature_of_the_bundle_is_used_as_it_is(judge, record):
    bundle = record.folder / "bundle"
    manifest = Manifest.read(bundle).model_copy(update={"temperature": 2.5})
    manifest.write(bundle)
    _, folder = judge(version=str(bundle))
    facts = read(folder)
    assert facts["calibration"]["temperature"] == 2.5
    assert not facts["calibration"]["fitted"]


def test_no_validation_split_means_no_calibration(judge, digits):
    data = dataclasses.replace(digits, validation=digits.validation.take(np.arange(0)))
    _, folder = judge(data)
    facts = read(folder)
    assert facts["calibration"]["temperature"] is None
    assert facts["calibration"]["before"] == facts["calibration"]["after"]
    assert any("no validation split" in note for note in facts["subject"]["notes"])


def test_bundle_without_configuration_is_evaluated_as_onnx_only(judge, record):
    bundle = record.folder / "bundle"
    manifest = Manifest.read(bundle)
    files = {name: each for name, each in manifest.files.items() if name != "config.yaml"}
    manifest.model_copy(update={"files": files}).write(bundle)
    (bundle / "config.yaml").unlink()
    _, folder = judge(version=str(bundle))
    facts = read(folder)
    assert list(facts["runtimes"]) == ["onnx"]
    assert any(note.startswith("torch is left out") for note in facts["subject"]["notes"])
    with pytest.raises(RegistryError, match=r"has no config\.yaml"):
        judge(version=str(bundle), runtime="torch")


def only(digits: Digits, labels) -> Digits:
    chosen = np.flatnonzero(np.isin(digits.test.labels, labels))
    return dataclasses.replace(digits, test=digits.test.take(chosen))


@pytest.mark.parametrize("labels", [[4], [0, 7]])
def test_few_classes_are_an_honest_result(judge, digits, labels):
    _, folder = judge(only(digits, labels))
    facts = read(folder)
    absent = [score for score in facts["classes"] if score["label"] not in labels]
    assert all(score["recall"] is None and score["count"] == 0 for score in absent)
    told = f"Only {len(labels)} of the ten digits"
    assert any(note.startswith(told) for note in facts["subject"]["notes"])


def test_single_image_is_judged(judge, digits):
    data = dataclasses.replace(digits, test=digits.test.take(np.array([3])))
    _, folder = judge(data)
    assert read(folder)["runtimes"]["onnx"]["count"] == 1


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


def test_other_version_of_the_same_data_is_pointed_out(judge, digits):
    moved = dataclasses.replace(digits, train=digits.test, test=digits.train.take(np.arange(50)))
    _, folder = judge(moved)
    assert any("may be among" in note for note in read(folder)["subject"]["notes"])


def test_missing_evidently_is_said_before_anything_else(judge, monkeypatch):
    from digits.evaluation import classification_report

    monkeypatch.setattr(classification_report.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"bootstrap monitor; .*classification_report=fal"):
        judge(version="nothing", classification_report=True)


def test_evidently_reports_on_all_ten_digits_and_is_left_out_otherwise(judge, digits):
    pytest.importorskip("evidently", reason="needs the extra monitor", exc_type=ImportError)
    _, folder = judge(classification_report=True)
    assert "evidently" in (folder / "evidently.html").read_text(encoding="utf-8").lower()
    (folder / "evidently.html").unlink()
    _, folder = judge(only(digits, [1, 2]), classification_report=True)
    assert not (folder / "evidently.html").exists()
    assert any("Evidently's report is left out" in n for n in read(folder)["subject"]["notes"])
