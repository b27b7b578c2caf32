"""The same moves through an MLflow server, as from several hosts."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import time

import pytest
import requests
from mlflow import MlflowClient

from digits.promotion.champion import Pair, moves, pair, promote, rollback
from digits.promotion.tickets import tickets
from digits.registry.versions import Version
from tests.integration import promoting
from tests.integration.test_champion import PROCESSES

pytestmark = pytest.mark.slow


@pytest.fixture
def server(store, tmp_path):
    """The address of an MLflow server on this test's store."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store,
            "--artifacts-destination", str(tmp_path / "artifacts"),
            "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )  # fmt: skip
    uri = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert process.poll() is None
            try:
                if requests.get(f"{uri}/health", timeout=5).ok:
                    break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield uri
    finally:
        process.terminate()
        process.wait(30)


def test_server_serves_the_line_and_the_journal(server):
    client = MlflowClient(tracking_uri=server, registry_uri=server)
    promoting.registered(client, 7)
    promote(client, Version("digits", 1), over=None)
    promote(client, Version("digits", 2), over=1)
    assert rollback(client, "digits") == Pair(1, 2)
    barrier = PROCESSES.Barrier(2)
    both = [
        PROCESSES.Process(target=promoting.promote_in_turn, args=(server, mine, barrier))
        for mine in ([3, 5], [4, 6])
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    made = moves(client, "digits")
    assert len(made) == 7
    assert all(later.before == sooner.after for sooner, later in itertools.pairwise(made))
    assert pair(client, "digits") == made[-1].after
    assert not tickets(client, "digits")
