"""What a bundle carries for serving: made by the main job's code, read by the service's."""

from __future__ import annotations

import functools
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.special import softmax

from digits.contract.manifest import ANSWER, GRADIENT, NEIGHBOURS, DryRun, Manifest, verify
from digits.contract.preprocessing import Preprocessing
from digits.data.types import Digits
from digits.errors import RegistryError
from digits.models.classifier import DigitClassifier
from digits.models.networks import Cnn
from digits.models.objective import Supervised
from digits.registry.bundle import Origin, write_bundle
from digits.training import schedules
from digits.training.export import to_onnx
from digits.training.serving_parts import serving_parts
from serving.errors import RequestError
from serving.model import ServedModel
from tests.integration.conftest import learn

STANDARD = Preprocessing()


@pytest.fixture(scope="module")
def classifier(digits):
    """Learns the bars in a few passes."""
    torch.manual_seed(0)
    module = DigitClassifier(
        Cnn([4, 8], depth=1),
        objective=Supervised(),
        optimizer=functools.partial(torch.optim.Adam, lr=0.01),
        scheduler=schedules.constant,
    )
    learn(module, digits.train, passes=12, batch=50, rate=0.02)
    return module.eval()


@pytest.fixture(scope="module")
def bundle(classifier, digits, tmp_path_factory):
    """A bundle with everything."""
    scratch = tmp_path_factory.mktemp("scratch")
    config = scratch / "config.yaml"
    config.write_text("model: {}\n")
    to_onnx(classifier.network, mean=STANDARD.mean, std=STANDARD.std, file=scratch / "model.onnx")
    folder = tmp_path_factory.mktemp("made") / "bundle"
    write_bundle(
        folder,
        network=classifier.network,
        graph=scratch / "model.onnx",
        config=config,
        example=digits.test.images[:2],
        preprocessing=STANDARD,
        origin=Origin("r", "bars", digits.digest, {"test/accuracy": 0.9}),
        temperature=1.5,
        parts=serving_parts(classifier, digits, temperature=1.5, folder=scratch),
    )
    return folder


@pytest.fixture(scope="module")
def served(bundle):
    """The bundle as the service has it."""
    return ServedModel(bundle)


def test_every_file_is_in_the_manifest(bundle):
    manifest = verify(bundle)
    assert {ANSWER, GRADIENT, NEIGHBOURS} <= set(manifest.files)
    assert manifest.lacking() == []


def test_dry_run_is_a_validation_digit_with_its_label(bundle, served, digits):
    known = Manifest.read(bundle).dry_run
    same = (digits.validation.images == known.image).all(axis=(1, 2))
    assert digits.validation.labels[same].tolist() == [known.label]
    served.dry_run()


def test_model_that_answers_its_digit_wrongly_is_refused(served, monkeypatch):
    known = served.manifest.dry_run
    other = DryRun.of(known.image, (known.label + 1) % 10)
    changed = served.manifest.model_copy(update={"dry_run": other})
    monkeypatch.setattr(served, "manifest", changed)
    with pytest.raises(RegistryError, match=f"answers {known.label} to the digit in its bundle"):
        served.dry_run()


def test_training_digit_is_its_own_nearest(served, digits):
    image = digits.train.images[17]
    found = served.nearest(image, 5)
    assert len(found) == 5
    assert found[0].label == digits.train.labels[17]
    np.testing.assert_array_equal(found[0].image, image)
    assert found[0].distance == pytest.approx(0, abs=1e-3)
    distances = [each.distance for each in found]
    assert distances == sorted(distances)
    assert served.nearest(image, 0) == []


def test_neighbours_mostly_have_the_label_of_the_image(served, digits):
    same = [
        found.label == label
        for image, label in zip(digits.test.images, digits.test.labels, strict=True)
        for found in served.nearest(image, 3)
    ]
    assert np.mean(same) > 0.9


def test_neighbours_are_drawn_evenly_and_the_same_every_time(bundle, classifier, digits, tmp_path):
    with np.load(bundle / NEIGHBOURS, allow_pickle=False) as stored:
        assert np.bincount(stored["labels"]).tolist() == [30] * 10
        assert stored["embeddings"].dtype == np.float32
    serving_parts(classifier, digits, temperature=1.5, folder=tmp_path)
    for name in (ANSWER, GRADIENT, NEIGHBOURS):
        assert (tmp_path / name).read_bytes() == (bundle / name).read_bytes()


def test_what_is_made_leaves_the_training_as_it_was(classifier, digits, tmp_path):
    random, before = torch.get_rng_state(), classifier.state_dict()
    weights = {name: value.clone() for name, value in before.items()}
    serving_parts(classifier, digits, temperature=None, folder=tmp_path)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, weights[name]) for name, value in before.items())


def test_without_validation_there_is_neither_dry_run_nor_abstention(classifier, digits, tmp_path):
    nothing = digits.validation.take(np.zeros(0, np.intp))
    bare = Digits(digits.name, digits.description, digits.train, nothing, digits.test)
    parts = serving_parts(classifier, bare, temperature=None, folder=tmp_path)
    assert (parts.dry_run, parts.abstention) == (None, None)
    assert {file.name for file in parts.files} == {GRADIENT, NEIGHBOURS}


def test_answers_are_the_calibrated_ones_of_the_network(served, digits):
    answers = served.predict(digits.test.images)
    wanted = softmax(served.logits(digits.test.images) / 1.5, axis=1)
    np.testing.assert_allclose(answers.probabilities, wanted, atol=1e-5)
    assert answers.is_digit.dtype == bool
    assert answers.is_digit.mean() > 0.9
    refused = served.manifest.abstention.refused
    assert refused == pytest.approx(1 - answers.is_digit.mean())


def test_older_bundle_answers_and_says_what_it_lacks(make, tmp_path, digits):
    make(tmp_path / "bundle")
    old = ServedModel(tmp_path / "bundle")
    old.dry_run()
    image = digits.test.images[0]
    answers = old.predict(image[None])
    assert answers.probabilities.sum() == pytest.approx(1)
    assert answers.is_digit is None
    with pytest.raises(RequestError, match=r"lacks gradient\.onnx") as raised:
        old.explain(image, "saliency", 3)
    assert (raised.value.status, raised.value.code) == (409, "lacking")
    with pytest.raises(RequestError, match=r"lacks neighbours\.npz"):
        old.nearest(image, 3)


def test_explaining_needs_no_torch(bundle):
    code = (
        "import sys, numpy as np; from pathlib import Path; from serving.model import ServedModel; "
        f"m = ServedModel(Path({str(bundle)!r})); m.dry_run(); x = np.zeros((28, 28), np.uint8); "
        "m.explain(x, 'integrated_gradients', 3); m.nearest(x, 2); "
        "print(sorted({'torch', 'mlflow', 'feast', 'onnx', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
