"""Features as they are typed: data in, a model, served traffic and labels in, a better model."""

from __future__ import annotations

import json
import re
import signal
import time
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime

import numpy as np
import pytest

from digits.data.uci import Uci
from digits.features.shape import SHAPE_NAMES, shape_features
from tests.e2e.conftest import Program
from tests.integration.featured import Service, needs_feast

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600), needs_feast]

QUICK = ["model=tiny", "trainer.max_epochs=1", "features=local"]
BAD_CONFIGURATION = 2
TERMINATED = 143


def served(program: Program, count: int) -> tuple[Service, list]:
    """Answer digits that are no part of the data: those, shifted."""
    service = Service(f"sqlite:///{program.folder}/outputs/traffic.db")
    images = np.roll(Uci().read().test.images[:count], 2, axis=2)
    return service, [service.serve(pixels=image.tobytes())[0] for image in images]


@contextmanager
def following(program: Program):
    """Start the push; give the process and the address that it answers at."""
    with program.start("task=features", "action=push", "follow=true", "endpoint.port=0") as running:
        try:
            line = next((each for each in running.stdout if "Following; " in each), "")
            assert line, "it does not follow"
            yield running, line.split("Following; ")[1].split("/samples/")[0]
        finally:
            running.kill()


def ask(address: str, sample: str):
    with urllib.request.urlopen(f"{address}/samples/{sample}", timeout=10) as answer:
        return json.loads(answer.read())


def waited(address: str, sample: str, view: str):
    deadline = time.monotonic() + 60
    while view not in (known := ask(address, sample)):
        assert time.monotonic() < deadline, known
        time.sleep(0.1)
    return known


def test_from_data_to_a_model_that_has_learned_what_was_served(program: Program) -> None:
    brought = program("task=features")
    assert brought.returncode == 0, brought.stderr
    assert "1,797, new" in brought.stdout
    service, rows = served(program, 12)
    with following(program) as (_, address):
        second = program("task=features", "action=push")
        assert second.returncode == 1 and "another task=features action=push" in second.stderr
        for row in rows:
            shape = waited(address, row.id, "shape")["shape"]
            image = np.frombuffer(row.pixels, np.uint8).reshape(1, 28, 28)
            measured = np.float32([shape[name] for name in SHAPE_NAMES])
            assert measured.tobytes() == shape_features(image).tobytes()
        for row in rows[:7]:
            service.labels.label(service.queue(row), "rater_a", 3)
        assert waited(address, rows[6].id, "labels")["labels"]["labeller"] == "rater_a"
    for row in rows[7:]:
        service.labels.label(service.queue(row), "rater_b", 4)
    service.close()
    pushed = program("task=features", "action=push")
    changes = re.search(r"0 predictions, (\d+) changes of labels", pushed.stdout)
    assert changes and int(changes[1]) in range(5, 13), pushed.stderr  # killed, it may come again
    learned = program(*QUICK)
    assert "12 samples added" in learned.stderr + learned.stdout
    (run,) = program.runs()
    tags = run.data.tags
    assert tags["digits.feature_service"] == f"digits-{run.info.run_id}"
    assert tags["digits.features_added"] == "12"
    assert datetime.fromisoformat(tags["digits.features_as_of"]) < datetime.now(UTC)
    again = program(f"reproduce={run.info.run_id}")
    assert again.returncode == 0 and "Reproduced" in again.stdout, again.stderr
    told = program("task=lineage", f"of={run.info.run_id}", "json=true").stdout
    assert f'"feature_service": "digits-{run.info.run_id}"' in told
    shown = program("task=features", "action=materialize").stdout
    assert "1,797 original, 12 person" in shown


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["features.as_of=yesterday"], "as_of must be a time such as"),
        (["features.online=mongodb://x/y"], "must be sqlite:///<path>, redis://"),
        (["features.online=redis://:secret@host:6379/0"], "leave the password out"),
        (["seed=0,1", "-m"], "features.as_of"),
    ],
)
def test_what_cannot_be_is_said(program: Program, typed: list[str], said: str) -> None:
    done = program(*QUICK, *typed)
    assert done.returncode in (1, BAD_CONFIGURATION)  # 1: of a sweep
    assert said in done.stderr and "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_a_signal_ends_the_push_at_once(program: Program) -> None:
    with following(program) as (running, _):
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == TERMINATED
        assert "Traceback" not in running.stdout.read()
