"""The same moves through an MLflow server, as from several hosts."""

from __future__ import annotations

import itertools

import pytest
from mlflow import MlflowClient

from digits.promotion.champion import Pair, moves, pair, promote, rollback
from digits.promotion.tickets import tickets
from digits.registry.versions import Version
from tests.integration import promoting
from tests.integration.mlflow_server import mlflow_server
from tests.integration.test_champion import PROCESSES

pytestmark = pytest.mark.slow


@pytest.fixture
def server(store, tmp_path):
    """The address of an MLflow server on this test's store."""
    with mlflow_server(store, tmp_path / "artifacts") as uri:
        yield uri


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
