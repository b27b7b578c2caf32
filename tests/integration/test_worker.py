"""One worker as a process: what it says, whom it believes, how it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import psutil
import pytest

from digits.contract.manifest import ONNX


@pytest.fixture
def bundle(make, tmp_path):
    make(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def settings(bundle, tmp_path):
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"pointer": str(bundle), "port": 0, "log": {"requests": "all"}}))
    return file


@contextmanager
def worker(settings, **environment):
    """Give the address of a worker, and the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "serving", str(settings)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    with process:
        try:
            address = re.search(r"http://\S+", process.stderr.readline())[0]
            yield address, process
        finally:
            process.kill()


def line_of(process, message):
    """Return the next line of the log with this message."""
    for line in process.stderr:
        found = json.loads(line)
        if found["message"] == message:
            return found
    raise AssertionError(f"nothing said {message}")


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
        return answer.status, dict(answer.headers), answer.read()


@pytest.mark.parametrize(
    ("environment", "client"),
    [({}, "127.0.0.1"), ({"FORWARDED_ALLOW_IPS": "127.0.0.1"}, "192.0.2.7")],
)
def test_only_a_named_proxy_may_say_who_asks(environment, client, settings):
    with worker(settings, **environment) as (address, process):
        status, headers, _ = get(f"{address}/v1/model", **{"X-Forwarded-For": "192.0.2.7"})
        assert status == 200
        assert "server" not in {name.lower() for name in headers}
        assert line_of(process, "request")["client"] == client
        process.terminate()
        assert process.wait(20) == 0


def test_damaged_bundle_ends_the_start_with_one_line(settings, bundle):
    with (bundle / ONNX).open("ab") as file:
        file.write(b"!")
    command = [sys.executable, "-m", "serving", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "model.onnx was changed" in done.stderr and "Traceback" not in done.stderr


def test_wrong_settings_end_the_start_with_their_key(settings, tmp_path):
    settings.write_text('{"pointer": "p", "workers": 0}')
    command = [sys.executable, "-m", "serving", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "workers" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_bundle_folder_is_ready_with_less_than_a_second_of_work(settings):
    """Of the processor's time, which other programs do not take; the rest is waiting for it."""
    times = []
    for _ in range(5):
        with worker(settings) as (address, process):
            assert get(f"{address}/readyz")[0] == 200
            times.append(sum(psutil.Process(process.pid).cpu_times()[:2]))
    assert min(times) <= 1.0
