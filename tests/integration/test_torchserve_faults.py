"""A TorchServe that fails in the midst of a change: what answered goes on, also after a restart."""

from __future__ import annotations

import tempfile

import pytest

from digits.contract.manifest import MANIFEST, ONNX, sha256_of
from digits.contract.pointer import Pointed
from digits.deployment.ledger import Ledger, Release
from digits.deployment.torchserve import server as server_module
from digits.deployment.torchserve.addresses import choose
from digits.deployment.torchserve.archive import archive_name
from digits.deployment.torchserve.command import CONFIG, STORE
from digits.deployment.torchserve.server import SERVER, Server
from digits.errors import DeploymentError
from serving.settings import Settings


class Management:
    """What TorchServe's API does, and one call of it that fails, once."""

    def __init__(self, workers, default, fails):
        self.workers, self.answers, self.fails = workers, default, fails

    def _called(self, *call):
        if call == self.fails:
            self.fails = None
            raise DeploymentError(f"TorchServe refuses {call}")

    def versions(self):
        return dict(self.workers)

    def register(self, archive, *, workers, batch, seconds):
        self.workers[archive.split("-")[1]] = workers

    def scale(self, version, workers):
        self._called("scale", version, workers)
        self.workers[version] = workers

    def set_default(self, version):
        self._called("set_default", version)
        self.answers = version

    def unregister(self, version):
        assert version != self.answers
        del self.workers[version]


@pytest.fixture
def models(make, tmp_path):
    found = []
    for number in (1, 2):
        bundle = tmp_path / f"bundle{number}"
        make(bundle, run_id=str(number))
        digests = {"onnx_sha256": sha256_of(bundle / ONNX)}
        digests["manifest_sha256"] = sha256_of(bundle / MANIFEST)
        found.append(Pointed(name="digits", number=number, folder=bundle, **digests))
    return found


@pytest.fixture
def server(tmp_path):
    found = Server(tmp_path / "deployment", management_port=0, token_minutes=60, wait_seconds=1.0)
    Ledger(found.folder).making(*SERVER, **choose("127.0.0.1", 0, 0, None).facts)
    (found.folder / STORE).mkdir()
    return found


@pytest.mark.parametrize("fails", [("set_default", "2"), ("scale", "1", 0)])
def test_release_that_fails_half_way_is_undone(server, models, tmp_path, monkeypatch, fails):
    out, new = models
    management = Management({"1": 3}, "1", fails)
    monkeypatch.setattr(server, "management", lambda model: management)
    ledger = Ledger(server.folder)
    ledger.released(Release(model=out))
    settings = Settings(pointer=tmp_path / "p", workers=3)
    with pytest.raises(DeploymentError, match=r"TorchServe refuses"):
        server.release(new, settings, instead=out)
    assert (management.workers, management.answers) == ({"1": 3}, "1")
    configured = (server.folder / CONFIG).read_text()
    assert archive_name(out) in configured and archive_name(new) not in configured
    assert not list((server.folder / STORE).iterdir())


def test_rollback_that_fails_half_way_is_undone(server, models, tmp_path, monkeypatch):
    before, out = models
    management = Management({"1": 0, "2": 3}, "2", ("scale", "2", 0))
    monkeypatch.setattr(server, "management", lambda model: management)
    settings = Settings(pointer=tmp_path / "p", workers=3)
    with pytest.raises(DeploymentError, match=r"TorchServe refuses"):
        server.answer_from(before, settings, instead=out)
    assert (management.workers, management.answers) == ({"1": 0, "2": 3}, "2")
    assert archive_name(out) in (server.folder / CONFIG).read_text()


def test_temporary_folder_of_then_is_removed_and_no_other(tmp_path, monkeypatch, models):
    places = [tmp_path / "then", tmp_path / "now"]
    made = []
    for place in places:
        place.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        made.append(
            Server(tmp_path / "deployment", management_port=0, token_minutes=60, wait_seconds=1.0)
        )
    made[0]._make_room(Ledger(made[0].folder), choose("127.0.0.1", 0, 0, None))
    assert list(places[0].iterdir())
    foreign = places[1] / next(places[0].iterdir()).name
    foreign.mkdir()
    monkeypatch.setattr(server_module, "java", lambda: "java")
    with pytest.raises(DeploymentError, match="there already, and not ours"):
        made[1].start(models[0], Settings(pointer=tmp_path / "p", port=0))
    assert not made[0].folder.exists() and not list(places[0].iterdir())
    assert foreign.is_dir()
