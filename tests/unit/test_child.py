"""Processes that are started again, and the socket that they share."""

from __future__ import annotations

import os
import socket
import sys
import time

import pytest

from digits.deployment import child
from digits.deployment.child import Child
from digits.errors import ConfigError
from serving.listening import address_of, listen, reachable

STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("here", flush=True)
time.sleep(60)
"""


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Start a module with this content."""
    monkeypatch.setattr(child, "FIRST_WAIT", 0.05)
    made = []

    def started(content):
        (tmp_path / "module.py").write_text(content)
        made.append(Child(["module"], environment=os.environ | {"PYTHONPATH": str(tmp_path)}))
        made[-1].start_if_due()
        return made[-1]

    yield started
    for each in made:
        each.wait(time.monotonic())


def exit_code_of(process):
    end = time.monotonic() + 20
    while (code := process.ended()) is None:
        assert time.monotonic() < end
        time.sleep(0.005)
    return code


def test_who_ends_soon_waits_longer_each_time(started):
    process = started("import sys; sys.exit(7)")
    for failures in (1, 2, 3):
        assert exit_code_of(process) == 7
        assert process.failures == failures and process.pid is None
        process.start_if_due()
        assert process.pid is None  # it is not its time yet
        time.sleep(0.05 * 2 ** (failures - 1))
        process.start_if_due()
        assert process.pid is not None


def test_who_has_run_for_a_while_starts_at_once(started, monkeypatch):
    monkeypatch.setattr(child, "STEADY_SECONDS", 0.0)
    process = started("")
    assert exit_code_of(process) == 0
    assert process.failures == 0
    process.start_if_due()
    assert process.pid is not None


def test_what_cannot_be_started_now_is_tried_again(started, monkeypatch):
    process = started("import time; time.sleep(60)")
    process.wait(time.monotonic())
    command, process._command = process._command, ["/no/such/program"]
    process.start_if_due()
    assert process.pid is None and process.failures == 1
    process._command = command
    time.sleep(0.06)
    process.start_if_due()
    assert process.pid is not None


def test_who_does_not_end_is_killed(started, tmp_path):
    process = started(STUBBORN)
    pid = process.pid
    time.sleep(0.5)
    process.terminate()
    began = time.monotonic()
    assert process.wait(time.monotonic() + 0.3)
    assert 0.25 < time.monotonic() - began < 10
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_child_has_a_leash_that_ends_it(started):
    process = started("from digits.contract import leash; leash.end_with_parent()\nimport time\n"
                      "time.sleep(60)")  # fmt: skip
    process._process.stdin.close()
    assert exit_code_of(process) == -15


def test_free_port_is_taken_and_known():
    with listen("127.0.0.1", 0) as listener:
        host, port = reachable(listener)
        assert host == "127.0.0.1" and port > 0
        assert address_of(listener) == f"http://127.0.0.1:{port}"
        with pytest.raises(ConfigError, match=rf"serving\.port  {port} is in use") as caught:
            listen("127.0.0.1", port)
    assert caught.value.exit_code == 2
    listen("127.0.0.1", port).close()


def test_every_interface_is_reached_by_this_machine_itself():
    with listen("0.0.0.0", 0) as listener:
        assert reachable(listener)[0] == "127.0.0.1"


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_address_of_ipv6_can_be_typed():
    try:
        listener = listen("::1", 0)
    except ConfigError:
        pytest.skip("this machine has no IPv6 address")
    with listener:
        assert address_of(listener).startswith("http://[::1]:")


@pytest.mark.parametrize("host", ["198.51.100.1", "a..b"])  # nobody's, and no name
def test_address_that_cannot_be_had_names_its_key(host):
    with pytest.raises(ConfigError, match=r"serving\.host  "):
        listen(host, 0)


def test_port_of_the_system_names_its_key():
    if os.geteuid() == 0 or sys.platform != "linux":
        pytest.skip("this user may listen there")
    with pytest.raises(ConfigError, match=r"serving\.port  1 is not allowed"):
        listen("127.0.0.1", 1)
