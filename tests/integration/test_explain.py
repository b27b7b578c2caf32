"""`task=explain` on a registered model: choices, files, bad input, what the run keeps."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mlflow.artifacts import download_artifacts
from PIL import Image

from digits.errors import ConfigError, DataError, ExplanationError, RegistryError
from digits.evaluation import explainers
from digits.evaluation.explainers import Explainer
from digits.registry.versions import register
from digits.tasks.explain import explain
from digits.tracking.store import Tracking

METHODS = {"saliency": explainers.Saliency(), "gradcam": explainers.GradCam()}


class Given:
    """A source that has the digits already; or fails, where nobody should read it."""

    def __init__(self, digits):
        self.digits = digits

    def load(self):
        assert self.digits is not None, "the data was read"
        return self.digits


class Silent(Explainer):
    """Maps of zeros."""

    multiplies_by_inputs = True

    def attribute(self, network, pixels, targets):
        return torch.zeros_like(pixels)


@pytest.fixture
def task(stored, store, record, digits, tmp_path):
    """The task on a registered model; later arguments win. Returns the folder of its results."""
    client, run_id, manifest = stored
    register(client, name="digits", run_id=run_id, manifest=manifest)
    folder = tmp_path / "runs" / "2020-01-01" / "13-00-00"
    folder.mkdir(parents=True)
    mine = dataclasses.replace(record, folder=folder, task="explain")
    mine.config_file.write_text("seed: 3\n")

    def task(**options):
        given = {
            "version": "challenger",
            "source": Given(digits),
            "explainers": METHODS,
            "tracking": Tracking(uri=store),
            "cache": str(tmp_path / "cache"),
            "judged": 0,
        }
        explain(mine, **{**given, **options})
        return folder / "explanations"

    task.client = client
    task.folder = folder
    return task


def _arrays(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "attributions.npz", allow_pickle=False) as file:
        return dict(file)


def _picture(file: Path, image: np.ndarray) -> Path:
    Image.fromarray(image).save(file)
    return file


def _runs(task):
    (experiment,) = [each for each in task.client.search_experiments() if each.name == "digits"]
    return task.client.search_runs([experiment.experiment_id], "tags.`digits.task` = 'explain'")


def test_chosen_digits_are_explained_drawn_and_kept(task, digits, stored):
    folder = task(indices=[7, 3, 7], judged=20)
    arrays = _arrays(folder)
    assert arrays["indices"].tolist() == [7, 3, 7]
    assert np.array_equal(arrays["images"], digits.test.images[[7, 3, 7]])
    assert np.array_equal(arrays["labels"], digits.test.labels[[7, 3, 7]])
    assert np.array_equal(arrays["targets"], arrays["logits"].argmax(1))
    for name in METHODS:
        assert arrays[f"attribution_{name}"].shape == (3, 28, 28)
        assert np.array_equal(arrays[f"attribution_{name}"][0], arrays[f"attribution_{name}"][2])
    (run,) = _runs(task)
    assert run.info.status == "FINISHED"
    assert run.data.tags["digits.model_version"] == "digits/1"
    assert run.data.tags["digits.model_run_id"] == stored[1]
    (entry,) = run.inputs.dataset_inputs
    assert entry.tags[0].value == "explanation"
    report = json.loads((folder / "quality.json").read_text())
    quality = report["methods"]
    assert report["digits"] == 20
    assert set(quality) == {"saliency", "gradcam", "random", "ink"}
    assert run.data.metrics["explain/saliency/deletion"] == quality["saliency"]["deletion"]
    kept = Path(download_artifacts(artifact_uri=f"{run.info.artifact_uri}/explanations"))
    names = {"gallery.png", "curves.png", "attributions.npz", "quality.json"}
    assert {file.name for file in kept.iterdir()} == names


def test_worst_mistakes_are_the_default(task, digits):
    arrays = _arrays(task(mistakes=4))
    wrong = arrays["labels"] != arrays["targets"]
    assert wrong.all() and len(wrong) == 4
    sure = torch.softmax(torch.from_numpy(arrays["logits"]), 1).max(1).values
    assert sure.tolist() == sorted(sure, reverse=True)


def test_faultless_model_has_its_least_certain_answers_explained(task, digits, capsys):
    first = _arrays(task(indices=list(range(len(digits.test)))))
    right = first["labels"] == first["targets"]
    part = dataclasses.replace(digits, test=digits.test.take(np.flatnonzero(right)))
    arrays = _arrays(task(source=Given(part), mistakes=3))
    assert len(arrays["indices"]) == 3
    assert "no mistakes on" in capsys.readouterr().out


def test_another_class_than_the_answer_can_be_explained(task):
    own, other = (_arrays(task(indices=[5], target=target)) for target in (None, 4))
    assert own["targets"] != 4 and other["targets"] == 4
    assert not np.allclose(own["attribution_saliency"], other["attribution_saliency"])


def test_picture_of_any_size_and_polarity_is_explained_without_the_data(task, tmp_path):
    page = np.full((300, 200), 240, np.uint8)
    page[80:220, 95:110] = 20
    arrays = _arrays(
        task(file=str(_picture(tmp_path / "one.png", page)), source=Given(None), judged=10)
    )
    assert arrays["images"].shape == (1, 28, 28)
    assert arrays["images"][0, 14, 14] > 200 and arrays["images"][0, 0, 0] == 0
    assert arrays["labels"].tolist() == [-1]
    assert not (task.folder / "explanations" / "quality.json").exists()


def test_blank_page_and_maps_of_zeros_are_an_honest_result(task, tmp_path, caplog):
    blank = _picture(tmp_path / "blank.png", np.full((50, 50), 255, np.uint8))
    folder = task(
        file=str(blank),
        explainers={"silent": Silent(), "input_x_gradient": explainers.InputXGradient()},
    )
    assert not _arrays(folder)["attribution_input_x_gradient"].any()
    assert "shows no ink" in caplog.text
    assert "silent: 1 of 1 maps are all zero" in caplog.text
    assert "input_x_gradient: 1 of 1 maps are all zero" in caplog.text
    assert (folder / "gallery.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"indices": [3, 80, 4000]}, ConfigError, r"explain\.indices  80, 4000: bars has 80 held"),
        ({"explainers": {}}, ConfigError, "explainer  holds no method"),
        ({"indices": [1], "file": "x.png"}, ConfigError, r"explain\.file  is a picture of its"),
        ({"file": "absent.png"}, DataError, r"absent\.png cannot be read \(No such file"),
        ({"file": "."}, DataError, "cannot be read"),
        ({"version": "champion"}, RegistryError, "champion is no version of digits"),
        ({"version": 7}, RegistryError, "7 is no version of digits"),
    ],
)
def test_bad_input_is_named_and_no_run_is_opened(task, options, error, message):
    with pytest.raises(error, match=message):
        task(**options)
    assert _runs(task) == []


def test_file_that_is_no_picture_is_named(task, tmp_path):
    (tmp_path / "notes.png").write_text("not a picture")
    with pytest.raises(DataError, match=r"notes\.png: the content is not an image"):
        task(file=str(tmp_path / "notes.png"))


class Unsuited(Silent):
    def attribute(self, network, pixels, targets):
        raise ExplanationError("unsuited: this is why")


def test_method_that_does_not_suit_the_model_is_named_and_left_out(task, capsys):
    folder = task(explainers={"unsuited": Unsuited(), "plain": explainers.Saliency()})
    assert {name for name in _arrays(folder) if "attribution" in name} == {"attribution_plain"}
    assert "unsuited: this is why" in capsys.readouterr().out


def test_model_that_no_method_suits_opens_no_run(task):
    with pytest.raises(ExplanationError, match="unsuited: this is why"):
        task(explainers={"unsuited": Unsuited()})
    assert _runs(task) == []


def test_data_without_held_out_digits_is_refused(task, digits):
    empty = dataclasses.replace(digits, test=digits.test.take(np.array([], int)))
    with pytest.raises(DataError, match="bars: its test split is empty"):
        task(source=Given(empty))
