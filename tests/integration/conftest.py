"""Bundles of a small network, a run that has stored one, and stores and servers for tests."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import pytest
import torch

from digits.contract.preprocessing import Preprocessing
from digits.contract.traffic import TrafficStore
from digits.data.uci import Uci
from digits.models.classifier import DigitClassifier
from digits.models.networks import Cnn, Tiny
from digits.models.objective import Supervised
from digits.registry.bundle import Origin, write_bundle
from digits.registry.versions import BUNDLE
from digits.tracking.store import Tracking
from digits.training import schedules
from digits.training.export import to_onnx

STANDARD = Preprocessing()
CONFIG = """\
model:
  _target_: digits.models.networks.Tiny
  channels: [4, 8]
  pool_after: [1]
"""


@pytest.fixture(scope="session")
def network():
    """Small, with weights that give every digit its turn."""
    torch.manual_seed(3)
    return Tiny([4, 8], pool_after=[1]).to(memory_format=torch.channels_last).eval()


@pytest.fixture(scope="session")
def graph(network, tmp_path_factory):
    """Export once for all tests."""
    file = tmp_path_factory.mktemp("graph") / "model.onnx"
    to_onnx(network, mean=STANDARD.mean, std=STANDARD.std, file=file)
    return file


@pytest.fixture(scope="session")
def make(network, graph, digits, tmp_path_factory):
    """Write a bundle of ``run_id`` to a folder."""
    config = tmp_path_factory.mktemp("config") / "config.yaml"
    config.write_text(CONFIG)

    def make(folder, run_id="r", graph=graph):
        return write_bundle(
            folder,
            network=network,
            graph=graph,
            config=config,
            example=digits.test.images[:2],
            preprocessing=STANDARD,
            origin=Origin(run_id, "bars", digits.digest, {"test/accuracy": 0.98765432}),
        )

    return make


@pytest.fixture
def stored(make, store, record, digits):
    """A run whose bundle is stored: (client, run id, manifest)."""
    with Tracking(uri=store).start(record) as run:
        manifest = make(record.folder / "bundle", run_id=run.id)
        run.log_folder(record.folder / "bundle", BUNDLE)
    return run.client, run.id, manifest


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL of this test session's own."""
    from tests.integration.postgres import Postgres

    # Not among pytest's folders, which are closed to the user that it runs as.
    with tempfile.TemporaryDirectory(prefix="digits-postgres-") as folder:
        server = Postgres(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """A Redis of this test session's own."""
    from tests.integration.redis_server import Redis

    server = Redis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.service)])
def traffic_url(request, tmp_path):
    """The address of a traffic store that is not there yet, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/traffic.db"
    return request.getfixturevalue("postgres").database()


@pytest.fixture
def traffic_store(traffic_url):
    store = TrafficStore(traffic_url)
    yield store
    store.close()


@pytest.fixture(scope="session")
def scans():
    """The real digits inside scikit-learn."""
    return Uci().read()


def learn(classifier, split, *, passes, batch, rate):
    """Fit a classifier without a trainer around it."""
    optimizer = torch.optim.Adam(classifier.parameters(), rate)
    pixels, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    for _ in range(passes):
        for chosen in torch.randperm(len(labels)).split(batch):
            loss, _ = classifier.objective(classifier, pixels[chosen], labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@pytest.fixture(scope="session")
def classifier_of_scans(scans):
    """A small network that has learned them in some seconds."""
    torch.manual_seed(0)
    classifier = DigitClassifier(
        Cnn([8, 16], depth=1),
        objective=Supervised(blanks=1),
        optimizer=functools.partial(torch.optim.Adam, lr=0.01),
        scheduler=schedules.constant,
    )
    learn(classifier, scans.train, passes=8, batch=64, rate=0.01)
    return classifier.eval()
