"""Submitting to Kubeflow Pipelines: what is sent, how the run is followed, and what goes wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from digits.errors import ConfigError, PipelineError
from pipelines.cluster import Cluster
from pipelines.order import PASSED, REJECTED, Event, Order
from pipelines.pods import Pods
from tests.integration.pipelines.kfp_server import kubeflow

ALL = {"data": "SUCCEEDED", "train": "SKIPPED", "evaluate": "SUCCEEDED", "gate": "SUCCEEDED"}


@pytest.fixture
def server():
    with kubeflow() as server:
        yield server


@pytest.fixture
def submit(server, tmp_path: Path, order: Order, events: list[Event], monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # Kubeflow keeps a file there
    monkeypatch.delenv("KFP_TOKEN", raising=False)
    monkeypatch.delenv("KFP_TOKEN_FILE", raising=False)

    def submit(changed: Order | None = None, **values):
        chosen = {"host": server.host, "poll_seconds": 0.02, "patience_seconds": 2.0, **values}
        cluster = Cluster(
            file=str(tmp_path / "digits.yaml"),
            image="digits-python",
            root="/data",
            pods=Pods(volumes={"/data": "digits"}),
            **chosen,
        )
        return cluster.run(changed or order, tmp_path, events.append)

    return submit


def test_the_run_is_submitted_followed_and_ends_as_it_ends(server, submit, events) -> None:
    server.looks = [
        ("PENDING", {}),
        ("RUNNING", {"data": "RUNNING", "digits": "RUNNING"}),
        ("RUNNING", {"data": "SUCCEEDED", "train": "RUNNING"}),
        ("SUCCEEDED", {**ALL, "promote": "SUCCEEDED", "report": "SUCCEEDED"}),
    ]
    outcome = submit()
    (run,) = server.runs
    assert run["runtime_config"]["parameters"]["place"]["data"] == ["data=uci"]
    assert run["pipeline_spec"]["pipeline_spec"]["pipelineInfo"]["name"] == "digits"
    assert "platforms" in run["pipeline_spec"]["platform_spec"]
    assert server.experiments[0]["display_name"] == "digits"
    assert outcome.decision == PASSED
    assert ("page", f"{server.host}/#/runs/details/r1") in outcome.rows
    assert events[:3] == [
        Event("data", "began", 3.0),
        Event("data", "done", 3.0),
        Event("train", "began", 3.0),
    ]
    assert Event("train", "cached", 3.0) in events


def test_a_rejection_is_told(server, submit) -> None:
    server.looks = [("SUCCEEDED", {**ALL, "reject": "SUCCEEDED"})]
    assert submit().decision == REJECTED


@pytest.mark.parametrize("state", ["FAILED", "CANCELED"])
def test_a_run_that_fails_or_is_cancelled_is_a_failure(server, submit, state: str) -> None:
    server.looks, server.error = [(state, {"train": "FAILED"})], "it ran out of memory"
    with pytest.raises(PipelineError, match=f"ended {state} in train: it ran out of memory: http"):
        submit()


def test_an_api_that_is_away_for_a_moment_does_no_harm(server, submit) -> None:
    server.away = 3
    assert ("state", "SUCCEEDED") in submit().rows


def test_an_api_that_stays_away_is_told(server, submit) -> None:
    server.away = 10_000
    with pytest.raises(PipelineError, match=r"refuses \(HTTP 503\)"):
        submit(patience_seconds=0.1)


def test_a_wait_has_an_end(server, submit) -> None:
    server.looks = [("RUNNING", {})]
    with pytest.raises(PipelineError, match=r"RUNNING after 0\.1 s, and goes on: http"):
        submit(wait_seconds=0.1)


def test_a_run_need_not_be_followed(server, submit) -> None:
    server.looks = [("RUNNING", {})]
    assert ("run", "r1") in submit(follow=False).rows


def test_the_token_is_sent_and_read_anew_when_it_has_changed(
    server, submit, tmp_path: Path, monkeypatch
) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    monkeypatch.setenv("KFP_TOKEN_FILE", str(file))
    server.token = "first"

    class Looks(list):
        """Between two looks the token is renewed."""

        def pop(self, place):
            file.write_text("second\n")
            server.token = "second"
            return super().pop(place)

    server.looks = Looks([("RUNNING", {}), ("SUCCEEDED", ALL)])
    assert ("state", "SUCCEEDED") in submit().rows


@pytest.mark.parametrize(("token", "told"), [("old", "the token"), (None, "without a token")])
def test_a_refused_token_is_told_at_once(server, submit, monkeypatch, token, told) -> None:
    server.token = "right"
    if token:
        monkeypatch.setenv("KFP_TOKEN", token)
    with pytest.raises(PipelineError, match=rf"refuses .*{told} \(HTTP 401\): set KFP_TOKEN"):
        submit()
    assert len(server.asked) == 1


def test_a_host_that_is_down_is_told(submit) -> None:
    with pytest.raises(PipelineError, match=r"does not answer at http://127\.0\.0\.1:1 "):
        submit(host="http://127.0.0.1:1")


def test_something_else_that_answers_is_told(server, submit) -> None:
    server.broken = "<html>log in</html>"
    with pytest.raises(PipelineError, match="is not the API of Kubeflow Pipelines"):
        submit()


def test_a_host_is_needed(submit) -> None:
    with pytest.raises(ConfigError, match=r"pipeline\.host"):
        submit(host=None)


def test_a_recurring_run_takes_the_place_of_the_one_before(server, submit, order: Order) -> None:
    submit(schedule="0 0 3 * * *")
    submit(replace(order, when="drift"), schedule="0 0 * * * *")
    submit(schedule="0 30 3 * * *")
    crons = {
        each["display_name"]: each["trigger"]["cron_schedule"]["cron"] for each in server.recurring
    }
    assert crons == {"digits-always": "0 30 3 * * *", "digits-drift": "0 0 * * * *"}
    assert all(each["no_catchup"] for each in server.recurring)
    assert not server.runs


def test_a_recurring_run_can_be_taken_away(server, submit) -> None:
    submit(schedule="0 0 3 * * *")
    outcome = submit(schedule="off")
    assert server.recurring == []
    assert outcome.rows == [("recurring run", "digits-always: 1 taken away")]
