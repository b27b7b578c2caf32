"""`task=serve` as it is typed: swapped under load, killed, tampered with, ended."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from digits.contract.manifest import ONNX
from tests.e2e.conftest import Program
from tests.e2e.serving import BLANK, Load, Models, children, is_alive, kill, running, until, workers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

HEAVY = ("torch", "mlflow", "feast", "pandas", "pyarrow")


@pytest.fixture(scope="module")
def models(shared_program: Program) -> Models:
    """Two versions, the first of them champion."""
    models = Models(shared_program)
    models.add()
    models.add()
    return models


@pytest.fixture(name="crowned")
def _crowned(models: Models) -> Models:
    models.crown(1)
    return models


def loaded(pid: int) -> set[str]:
    """Names among HEAVY of which a file is mapped into a process."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return {name for name in HEAVY if f"/{name}/" in maps}


def test_without_a_champion_the_command_that_makes_one_is_told(program: Program) -> None:
    done = program("task=serve", "serving.port=0")
    assert done.returncode == 1
    assert "no champion yet" in done.stderr and "task=promote" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(program.folder.rglob("pointer.json"))


def test_port_in_use_is_named_and_nothing_is_written(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = program("task=serve", f"serving.port={taken.getsockname()[1]}")
    assert done.returncode == 2
    assert "serving.port" in done.stderr and "is in use by another program" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (program.folder / "outputs" / "mlflow.db").exists()


def test_hot_swap_under_load_fails_no_request(shared_program: Program, crowned: Models) -> None:
    with running(shared_program, "serving.workers=2") as (service, process):
        with Load(service) as load:
            until(lambda: load.versions["digits/1"] > 200)
            for swaps, number in enumerate((2, 1, 2), start=1):
                crowned.crown(number)
                before = load.versions[f"digits/{number}"]
                until(lambda number=number, n=before: load.versions[f"digits/{number}"] > n + 200)
                # a worker may be slow to look, and two changes at once are one swap to it
                until(lambda n=swaps: service.metric("digits_model_swaps_total") == 2 * n)
        assert load.failures == []
        assert set(load.versions) == {"digits/1", "digits/2"}
        assert load.slowest < 2.0
        asked = service.metric("digits_predictions_total")
        assert asked == sum(load.versions.values())  # of both workers, nothing lost
        assert not loaded(process.pid)
        assert not set().union(*(loaded(pid) for pid in workers(process.pid)))


def test_killed_worker_costs_its_own_requests_only(
    shared_program: Program, crowned: Models
) -> None:
    with running(shared_program, "serving.workers=2") as (service, process):
        until(lambda: len(workers(process.pid)) == 2)
        with Load(service, clients=6) as load:
            until(lambda: sum(load.versions.values()) > 200)
            victim, other = workers(process.pid)
            kill(victim)
            until(lambda: len(set(workers(process.pid)) - {victim}) == 2)
            asked = sum(load.versions.values())
            until(lambda: sum(load.versions.values()) > asked + 200)
            assert is_alive(other)
        (watcher,) = [pid for pid, line in children(process.pid).items() if "watcher" in line]
        kill(watcher)
        crowned.crown(2)
        until(lambda: service.version() == "digits/2")
        assert len(load.failures) <= load.clients
        assert all("refused" not in failure for failure in load.failures)
        assert service.metric("digits_predictions_total") >= sum(load.versions.values())


def test_tampered_model_is_refused_and_said_so(shared_program: Program, crowned: Models) -> None:
    with running(shared_program) as (service, _), Load(service, clients=2) as load:
        until(lambda: load.versions["digits/1"] > 50)
        stored = crowned.add()
        number = max(int(v.version) for v in crowned.client.search_model_versions("name='digits'"))
        with (stored / ONNX).open("ab") as file:
            file.write(b"!")
        crowned.crown(number)
        until(lambda: service.metric("digits_model_refused_total") == 1)
        assert service.version() == "digits/1"
        log = service.errors.read_text()
        assert f"Refused digits/{number}" in log and "was changed" in log
        crowned.crown(2)
        until(lambda: service.version() == "digits/2")
    assert load.failures == []
    assert set(load.versions) == {"digits/1", "digits/2"}


@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_challenger_is_compared_with_the_champion(
    mode: str, shared_program: Program, crowned: Models
) -> None:
    number = max(int(v.version) for v in crowned.client.search_model_versions("name='digits'"))
    crowned.client.set_registered_model_alias("digits", "challenger", "2")
    crowned.client.set_model_version_tag("digits", "2", "promotion.decision", "passed")
    challenge = (f"serving.challenger.mode={mode}", "serving.challenger.percent=50")
    with running(shared_program, "serving.workers=2", *challenge) as (service, _):
        with Load(service, clients=2) as load:
            until(lambda: service.metric("digits_challenger_answers_total") > 100)
        assert load.failures == []
        answered = {"shadow": {"digits/1"}, "canary": {"digits/1", "digits/2"}}
        assert set(load.versions) == answered[mode]
        counted = [f"digits_challenger_{name}_total" for name in ("answers", "agreed")]
        until(lambda: len({service.metric(name) for name in counted}) == 1)  # the same network
        assert service.metric("digits_champion_seconds_total") > 0
        assert service.metric("digits_challenger_seconds_total") > 0
    crowned.client.set_registered_model_alias("digits", "challenger", str(number))


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_signal_lets_a_request_at_work_finish(
    sent: signal.Signals, shared_program: Program, crowned: Models
) -> None:
    with running(shared_program) as (service, process):
        head = (
            f"POST /v1/predict HTTP/1.1\r\nHost: {service.host}\r\n"
            f"Content-Type: application/octet-stream\r\nContent-Length: {len(BLANK)}\r\n\r\n"
        )
        with socket.create_connection((service.host, service.port), timeout=20) as client:
            client.sendall(head.encode() + BLANK[:300])
            time.sleep(0.3)
            process.send_signal(sent)
            time.sleep(0.5)
            client.sendall(BLANK[300:])
            answer = client.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 200")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["version"] == "digits/1"
        assert process.wait(20) == 0


def test_nothing_outlives_a_killed_supervisor(shared_program: Program, crowned: Models) -> None:
    with running(shared_program, "serving.workers=2") as (_, process):
        until(lambda: len(children(process.pid)) == 3)
        left = list(children(process.pid))
        process.kill()
        process.wait()
        until(lambda: not any(map(is_alive, left)), 20)


def test_bundle_folder_is_served_and_nothing_followed(
    shared_program: Program, crowned: Models
) -> None:
    folder = crowned.add()
    with running(shared_program, f"version={folder}", "serving.traffic.url=null") as (
        service,
        process,
    ):
        assert service.version().startswith("digits/")
        assert len(children(process.pid)) == 1  # no watcher
        maps = Path(f"/proc/{workers(process.pid)[0]}/maps").read_text()
        assert "/sqlalchemy/" not in maps


def test_service_that_cannot_start_ends_with_its_reason(tmp_path: Path, crowned: Models) -> None:
    bundle = crowned.add()
    with (bundle / ONNX).open("ab") as file:
        file.write(b"!")
    (tmp_path / "settings.json").write_text(json.dumps({"pointer": str(bundle), "port": 0}))
    done = subprocess.run(
        [sys.executable, "-m", "digits.deployment.service", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "model.onnx was changed" in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("The service cannot be kept up")
    assert not (tmp_path / "state.json").exists()
