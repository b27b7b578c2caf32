"""A bundle that a container pulls: from a real MLflow server, and from servers of bad will."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from digits.contract.manifest import ONNX, sha256_of
from digits.contract.pointer import Pointer
from digits.errors import RegistryError
from digits.registry.versions import register
from digits.tracking.record import Record
from digits.tracking.store import Tracking
from serving import fetch, registry
from serving.fetch import Source
from serving.model import ServedModel
from tests.integration.mlflow_server import mlflow_server

WANTED = {"/api/2.0/mlflow/registered-models/alias", "/get-artifact"}


@pytest.fixture(scope="module")
def server(migrated_store, tmp_path_factory):
    """An MLflow server with artifacts behind it."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(migrated_store, folder / "mlflow.db")
    with mlflow_server(f"sqlite:///{folder}/mlflow.db", folder / "artifacts") as uri:
        yield uri


@pytest.fixture(scope="module")
def versions(server, make, tmp_path_factory):
    """Two versions on it; the first is the champion."""
    for number in ("1", "2"):
        folder = tmp_path_factory.mktemp("trained")
        (folder / "config.yaml").write_text("seed: 3\n")
        job = Record(folder, "train", "c0ffee", {"seed": 3}, [], 3)
        with Tracking(uri=server).start(job) as run:
            manifest = make(folder / "bundle", run_id=run.id)
            run.log_folder(folder / "bundle", "bundle")
        register(run.client, name="digits", run_id=run.id, manifest=manifest)
        MlflowClient(server).set_registered_model_alias("digits", number, number)
    MlflowClient(server).set_registered_model_alias("digits", "champion", "1")
    return server


@pytest.mark.service
def test_alias_and_number_are_fetched_whole_and_answer(versions, digits, tmp_path):
    found = Source.of(f"{versions}/digits@champion").fetch(tmp_path)
    assert (found.version, found.alias) == ("digits/1", "champion")
    same = Source.of(f"{versions}/digits/1").fetch(tmp_path)
    assert same == found.model_copy(update={"alias": None})
    model = ServedModel(found.folder, version=found.version)
    assert model.predict(digits.test.images[:4]).probabilities.shape == (4, 10)
    assert {each.name for each in tmp_path.iterdir()} == {found.folder.name}


@pytest.mark.service
def test_whole_bundle_is_kept_and_a_damaged_one_fetched_again(versions, tmp_path):
    source = Source.of(f"{versions}/digits@champion")
    file = source.fetch(tmp_path).folder / ONNX
    before, digest = file.stat().st_mtime_ns, sha256_of(file)
    source.fetch(tmp_path)
    assert file.stat().st_mtime_ns == before
    file.write_bytes(b"damaged")
    source.fetch(tmp_path)
    assert sha256_of(file) == digest


@pytest.mark.service
@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("digits@nobody", "nobody not found"),
        ("digits/77", "404 .*77.* not found"),
        ("letters@champion", "404 .*letters.* not found"),
    ],
)
def test_what_is_not_there_is_said_and_leaves_nothing(versions, tmp_path, wanted, told):
    with pytest.raises(RegistryError, match=f"{wanted} cannot be had: .*{told}"):
        Source.of(f"{versions}/{wanted}").fetch(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.service
def test_moved_alias_is_followed_and_the_bundle_before_kept(versions, tmp_path):
    client = MlflowClient(versions)
    client.set_registered_model_alias("digits", "followed", "1")
    source = Source.of(f"{versions}/digits@followed")
    file = source.point(tmp_path)
    first = Pointer.read(file).champion
    stop = source.follow(tmp_path, 0.1)
    try:
        client.set_registered_model_alias("digits", "followed", "2")
        end = time.monotonic() + 60
        while (second := Pointer.read(file).champion) == first and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        stop.set()
    assert (first.version, second.version) == ("digits/1", "digits/2")
    assert first.folder.is_dir() and second.folder.is_dir()


@pytest.mark.service
def test_changed_digest_in_the_registry_is_refused(versions, tmp_path):
    client = MlflowClient(versions)
    before = client.get_model_version("digits", "2").tags["manifest_sha256"]
    try:
        client.set_model_version_tag("digits", "2", "manifest_sha256", "0" * 64)
        with pytest.raises(RegistryError, match="not as it was registered"):
            Source.of(f"{versions}/digits/2").fetch(tmp_path)
        assert not list(tmp_path.iterdir())
        client.set_model_version_tag("digits", "2", "onnx_sha256", "../../etc")
        with pytest.raises(RegistryError, match="not registered by Digits"):
            Source.of(f"{versions}/digits/2").fetch(tmp_path)
    finally:
        client.set_model_version_tag("digits", "2", "manifest_sha256", before)


@pytest.mark.service
def test_command_prints_the_pointer_or_one_line(versions, tmp_path):
    def command(address):
        return subprocess.run(
            [sys.executable, "-m", "serving.fetch", address, str(tmp_path)],
            capture_output=True,
            text=True,
        )

    done = command(f"{versions}/digits@champion")
    assert done.returncode == 0, done.stderr
    assert Pointer.read(Path(done.stdout.strip())).champion.version == "digits/1"
    done = command(f"{versions}/digits@nobody")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1


class Stub(ThreadingHTTPServer):
    """A server that serves a bundle as MLflow does, or as ``spoil`` would have it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.spoil, self.seen = folder, {}, []
        super().__init__(("127.0.0.1", 0), Answering)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/digits@champion"

    def version(self) -> bytes:
        tags = {
            "onnx_sha256": sha256_of(self.folder / ONNX),
            "manifest_sha256": sha256_of(self.folder / "manifest.json"),
        }
        tags = [{"key": key, "value": value} for key, value in tags.items()]
        entry = {"version": "3", "source": f"runs:/{'a' * 32}/bundle", "tags": tags}
        return json.dumps({"model_version": entry}).encode()


class Answering(BaseHTTPRequestHandler):
    server: Stub

    def do_GET(self):
        self.server.seen.append(self.headers)
        path, _, query = self.path.partition("?")
        name = query.rpartition("%2F")[2] if path == "/get-artifact" else "version"
        if name in self.server.spoil:
            self.server.spoil[name](self)
        elif path in WANTED:
            file = self.server.folder / name
            self.send(self.server.version() if name == "version" else file.read_bytes())

    def send(self, content, status=200, **headers):
        self.send_response(status)
        for key, value in ({"Content_Length": str(len(content))} | headers).items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def stub(make, tmp_path):
    make(tmp_path / "bundle")
    with Stub(tmp_path / "bundle") as server:
        yield server
        server.shutdown()


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def test_stub_is_fetched_from_as_a_server_is(stub, cache):
    assert Source.of(stub.address).fetch(cache).version == "digits/3"


def test_credentials_of_the_environment_are_shown(stub, cache, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "søcret")
    Source.of(stub.address).fetch(cache)
    basic = base64.b64encode("ann:søcret".encode()).decode()
    assert {each["Authorization"] for each in stub.seen} == {f"Basic {basic}"}
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    Source.of(stub.address).fetch(cache)
    assert stub.seen[-1]["Authorization"] == "Bearer t0ken"


def evil_names(answer, *names):
    manifest = json.loads((answer.server.folder / "manifest.json").read_text())
    manifest["files"] |= dict.fromkeys(names, "0" * 64)
    answer.send(json.dumps(manifest).encode())


@pytest.mark.parametrize(
    ("name", "spoil", "told"),
    [
        ("version", lambda it: it.send(b"{}"), "does not answer as an MLflow server"),
        ("version", lambda it: it.send(b"<html>", 502), "502 Bad Gateway"),
        ("version", lambda it: it.send(b'{"message": "no\\nentry"}', 401), "401 no entry"),
        ("version", lambda it: it.send(b"", 302, Location="http://127.0.0.1:9/"), "302"),
        ("version", lambda it: it.connection.close(), "does not answer"),
        (ONNX, lambda it: it.send(b"another"), "was changed"),
        (ONNX, lambda it: it.send(b"cut", Content_Length="9"), "ended 6 bytes early"),
        (ONNX, lambda it: it.send(b"?", 404), "404"),
        ("manifest.json", lambda it: it.send(bytes(2 * 1024**2)), "larger than 1,048,576 bytes"),
        ("manifest.json", lambda it: it.send(b"{}"), "damaged"),
        ("manifest.json", lambda it: evil_names(it, "../evil"), "names files that no bundle"),
        ("manifest.json", lambda it: evil_names(it, *map(str, range(40))), "names files that no"),
    ],
)  # fmt: skip
def test_server_of_bad_will_is_refused_and_leaves_nothing(stub, cache, name, spoil, told):
    stub.spoil[name] = spoil
    with pytest.raises(RegistryError, match=f"digits@champion cannot be had: .*{told}"):
        Source.of(stub.address).fetch(cache)
    assert not cache.exists() or not list(cache.iterdir())
    assert not (cache.parent / "evil").exists()


def test_server_that_drips_is_given_up(stub, cache, monkeypatch):
    def drip(answer):
        answer.send(b"", Content_Length="1000")
        for _ in range(100):
            answer.wfile.write(b".")
            time.sleep(0.05)

    monkeypatch.setattr(registry, "WHOLE_SECONDS", 0.5)
    stub.spoil[ONNX] = drip
    with pytest.raises(RegistryError, match="too slow"):
        Source.of(stub.address).fetch(cache)


def test_folder_that_cannot_be_written_is_named(stub, cache):
    cache.write_text("a file")
    with pytest.raises(RegistryError, match=f"cannot be kept in {cache}: "):
        Source.of(stub.address).fetch(cache)


def test_pointer_keeps_two_bundles_of_a_model(stub, make, cache):
    names = []
    for run in ("first", "second", "third"):
        shutil.rmtree(stub.folder)
        make(stub.folder, run_id=run)
        file = Source.of(stub.address).point(cache)
        names.append(Pointer.read(file).champion.folder.name)
    assert {each.name for each in cache.iterdir()} == {fetch.POINTER, *names[1:]}


@pytest.mark.parametrize(
    "address",
    ["", "digits", "http://h", "http://h/digits", "http://h/digits@", "http://u:p@h/digits@champion",
     "ftp://h/digits@champion", "http://h/a.b@champion", "http://h/digits@a/b", "http://h/?x=/d@c"],
)  # fmt: skip
def test_other_addresses_are_refused_without_repeating_them(address):
    with pytest.raises(RegistryError, match="write the address of a model as") as caught:
        Source.of(address)
    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("http://h:5000/digits@champion", ("http://h:5000", "digits", "champion", None)),
        ("https://h/prefix/my digits/12", ("https://h/prefix", "my digits", None, 12)),
    ],
)
def test_addresses_are_read(address, parts):
    source = Source.of(address)
    assert (source.server, source.name, source.alias, source.number) == parts
    assert str(source) == address


def test_whole_answers_are_those_of_the_bundle(stub, cache, digits):
    found = ServedModel(Source.of(stub.address).fetch(cache).folder)
    images = digits.test.images[:5]
    expected = ServedModel(stub.folder).predict(images).probabilities
    assert np.array_equal(found.predict(images).probabilities, expected)
