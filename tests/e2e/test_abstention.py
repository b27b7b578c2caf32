"""Models of the scans and of MNIST, trained by the main job, know what is no digit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from digits.data.mnist import Mnist
from digits.data.types import Digits
from digits.data.uci import Uci
from serving.model import ServedModel
from tests.e2e.conftest import Program
from tests.unit.non_digits import blanks, letters, noise, scribbles

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
MNIST = os.environ.get("DIGITS_MNIST_ROOT", "none")


def _judge(program: Program, digits: Digits, *overrides: str) -> None:
    done = program(*overrides, timeout=800)
    assert done.returncode == 0, done.stderr
    (folder,) = (program.folder / "outputs").glob("runs/*/*/bundle")
    model = ServedModel(folder)
    model.dry_run()
    assert model.manifest.lacking() == []

    def refused(images):  # type: ignore[no-untyped-def]
        is_digit = model.predict(images).is_digit
        assert is_digit is not None
        return 1 - is_digit.mean()

    assert refused(digits.validation.images) <= 0.01
    assert refused(digits.test.images) <= 0.01
    caught = {
        "blanks": refused(blanks()),
        "noise": refused(noise(seed=1)),
        "letters": refused(letters()),
        "scribbles": refused(scribbles(seed=1)),
    }
    assert min(caught.values()) >= 0.9, caught


def test_model_of_the_scans(program: Program) -> None:
    _judge(program, Uci().read())


@pytest.mark.mnist
@pytest.mark.skipif(not Path(MNIST).is_dir(), reason="DIGITS_MNIST_ROOT names no folder with MNIST")
def test_model_of_mnist(program: Program) -> None:
    digits = Mnist(root=MNIST, cache=program.folder).read()
    _judge(program, digits, "data=mnist", "trainer.max_epochs=3")
