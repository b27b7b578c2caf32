"""Two runs side by side: inputs and numbers."""

from __future__ import annotations

import json

import pytest
from mlflow.entities import Metric, Run, RunData, RunInfo, RunTag

from digits.tracking.comparison import input_differences, result_differences, results
from digits.tracking.environment import environment, libraries, processor

COMMIT = "mlflow.source.git.commit"


def run(metrics=(), **tags):
    named = {"commit": COMMIT, "libraries": "digits.libraries", "resumed": "digits.resumed"}
    entries = [RunTag(named.get(name, f"digits.{name}"), value) for name, value in tags.items()]
    numbers = [Metric(name, value, 0, 0) for name, value in metrics]
    info = RunInfo("r", "0", "u", "FINISHED", 0, 1, "active")
    return Run(info, RunData(metrics=numbers, tags=entries))


def told(one, other):
    return [str(each) for each in input_differences(one, other)]


def test_every_recorded_input_is_compared():
    before = run(
        commit="a", seed="0", threads="2", libraries=json.dumps({"torch": "2.12", "numpy": "2"})
    )
    after = run(
        commit="b", seed="1", threads="1", libraries=json.dumps({"torch": "2.13", "numpy": "2"})
    )
    assert told(before, after) == [
        "git commit: a then, b now",
        "seed: 0 then, 1 now",
        "threads: 2 then, 1 now",
        "torch: 2.12 then, 2.13 now",
    ]
    assert told(before, before) == []


def test_what_was_not_recorded_is_not_the_same():
    assert told(run(seed="0"), run(seed="0", threads="1")) == ["threads: not recorded then, 1 now"]


def test_local_changes_are_never_known_to_be_the_same():
    (difference,) = told(run(commit="a-dirty"), run(commit="a-dirty"))
    assert difference.startswith("git commit: a-dirty then")


def test_a_run_that_went_on_is_told_whichever_it_is():
    resumed, whole = run(resumed="2020 a"), run()
    assert told(resumed, whole) == ["resumed: yes (2020 a) then, no now"]
    assert told(whole, resumed) == ["resumed: no then, yes (2020 a) now"]


def test_times_are_no_results():
    metrics = [
        ("system/cpu", 1.0),
        ("fit/seconds", 2.0),
        ("train/images_per_second", 3.0),
        ("train/loss", 4.0),
    ]
    assert results(run(metrics)) == {"train/loss": 4.0}


@pytest.mark.parametrize(
    ("now", "shown"),
    [
        (0.1, []),
        (0.1 + 2**-56, ["test/loss: 0.1 then, 0.10000000000000002 now"]),
        (None, ["test/loss: 0.1 then, absent now"]),
        (float("nan"), ["test/loss: 0.1 then, nan now"]),
    ],
)
def test_numbers_are_compared_to_the_last_bit(now, shown):
    after = run([] if now is None else [("test/loss", now)])
    found = result_differences(run([("test/loss", 0.1)]), after)
    assert [str(each) for each in found] == shown


def test_nan_is_the_same_as_nan():
    assert result_differences(run([("a", float("nan"))]), run([("a", float("nan"))])) == []


def test_environment_names_the_libraries_that_compute():
    found = environment()
    assert json.loads(found["digits.libraries"]) == libraries()
    assert {"torch", "numpy", "pytorch-lightning"} <= set(libraries())
    assert all(found.values())


def test_processor_is_read_from_what_linux_tells(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU: 3 GHz\nflags\t: x\n")
    assert processor(str(tmp_path / "cpuinfo")).startswith("Some CPU: 3 GHz, ")
    assert processor(str(tmp_path / "absent")).strip(", ")
