"""Downloading, against a server on this machine that can misbehave."""

from __future__ import annotations

import gzip
import hashlib
import logging
import random
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from digits.data import mnist
from digits.data.download import CHUNK, fetch
from digits.data.mnist import IdxFile, Mnist
from digits.errors import DataError, DownloadError

CONTENT = random.Random(0).randbytes(300_000)
PACKED = gzip.compress(CONTENT, mtime=0)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Mirror(ThreadingHTTPServer):
    """Serves ``files``; each path's list in ``faults`` is taken from its front, one per request."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[str]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.sent = 0

    def handle_error(self, request, client_address):
        """Stay silent about connections that a client gave up."""

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.requests.append((self.path, wanted))
        faults = server.faults.get(self.path, [])
        fault = faults.pop(0) if faults else ""
        body = server.files.get(self.path)
        if body is None:
            return self.send_error(404)
        if fault == "stall":
            threading.Event().wait(2)
            return None
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if fault == "ignore range":
            start = 0
        if start and start >= len(body):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            shift = 1 if fault == "wrong range" else 0
            self.send_header("Content-Range", f"bytes {start + shift}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = (start + len(body)) // 2 if fault == "truncate" else len(body)
        self.wfile.write(body[start:end])
        server.sent += end - start
        self.close_connection = fault == "truncate"
        return None

    def log_message(self, *arguments):
        pass


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    server = Mirror()
    server.files["/data.gz"] = PACKED
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def get(folder, *urls, **options):
    return fetch("data.gz", urls, DIGEST, folder, **{"timeout": 5.0, **options})


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_file_is_fetched_once(mirror, tmp_path):
    path = get(tmp_path / "new" / "cache", mirror.url("/data.gz"))
    assert path.read_bytes() == PACKED
    assert not path.with_name("data.gz.part").exists()
    assert get(path.parent, mirror.url("/data.gz")) == path
    assert len(mirror.requests) == 1


def test_content_may_come_unpacked(mirror, tmp_path):
    mirror.files["/data.gz"] = CONTENT
    assert get(tmp_path, mirror.url("/data.gz")).read_bytes() == CONTENT


def test_truncated_transfer_is_continued(mirror, tmp_path):
    mirror.faults["/data.gz"] = ["truncate"]
    assert get(tmp_path, mirror.url("/data.gz")).read_bytes() == PACKED
    assert [bool(wanted) for _, wanted in mirror.requests] == [False, True]
    # What was still in the client's hands when the line broke, at most one piece, comes again.
    assert len(PACKED) <= mirror.sent <= len(PACKED) + CHUNK


def test_interrupted_download_is_resumed_by_the_next(mirror, tmp_path):
    (tmp_path / "data.gz.part").write_bytes(PACKED[:100_000])
    assert get(tmp_path, mirror.url("/data.gz")).read_bytes() == PACKED
    assert mirror.requests == [("/data.gz", "bytes=100000-")]


def test_always_truncating_mirror_leaves_a_part_to_resume(mirror, tmp_path):
    mirror.faults["/data.gz"] = ["truncate"] * 2
    with pytest.raises(DownloadError):
        get(tmp_path, mirror.url("/data.gz"), attempts=2)
    left = (tmp_path / "data.gz.part").read_bytes()
    assert left
    assert PACKED.startswith(left)
    assert get(tmp_path, mirror.url("/data.gz")).read_bytes() == PACKED


def test_server_that_ignores_range_starts_anew(mirror, tmp_path):
    (tmp_path / "data.gz.part").write_bytes(PACKED[:100_000])
    mirror.faults["/data.gz"] = ["ignore range"]
    assert get(tmp_path, mirror.url("/data.gz")).read_bytes() == PACKED


def test_part_that_is_already_complete_is_used(mirror, tmp_path):
    (tmp_path / "data.gz.part").write_bytes(PACKED)
    assert get(tmp_path, mirror.url("/data.gz")).read_bytes() == PACKED
    assert mirror.sent == 0


@pytest.mark.parametrize("begun", [b"of another file" * 9, PACKED + b"and more"])
def test_part_that_does_not_fit_is_dropped(mirror, tmp_path, begun):
    (tmp_path / "data.gz.part").write_bytes(begun)
    assert get(tmp_path, mirror.url("/data.gz")).read_bytes() == PACKED
    assert [wanted for _, wanted in mirror.requests] == [f"bytes={len(begun)}-", None]


def test_answer_to_another_range_is_refused(mirror, tmp_path):
    (tmp_path / "data.gz.part").write_bytes(PACKED[:1000])
    mirror.faults["/data.gz"] = ["wrong range"]
    with pytest.raises(DownloadError, match="another range"):
        get(tmp_path, mirror.url("/data.gz"))


def test_damaged_file_in_the_cache_is_replaced(mirror, tmp_path, caplog):
    (tmp_path / "data.gz").write_bytes(PACKED[:-9])
    assert get(tmp_path, mirror.url("/data.gz")).read_bytes() == PACKED
    assert "damaged and will be downloaded again" in caplog.text


def test_next_mirror_is_tried(mirror, tmp_path, caplog):
    mirror.files["/corrupt.gz"] = gzip.compress(b"something else")
    urls = [mirror.url("/missing.gz"), mirror.url("/corrupt.gz"), mirror.url("/data.gz")]
    with caplog.at_level(logging.WARNING):
        assert get(tmp_path, *urls).read_bytes() == PACKED
    assert "404" in caplog.text
    assert "expected" in caplog.text


def test_every_mirror_and_its_fault_is_named(mirror, tmp_path):
    mirror.files["/corrupt.gz"] = gzip.compress(b"something else")
    mirror.files["/short.gz"] = PACKED[:-100]
    mirror.files["/stall.gz"] = PACKED
    mirror.faults["/stall.gz"] = ["stall"]
    paths = ("/missing.gz", "/corrupt.gz", "/short.gz", "/stall.gz")
    urls = [*(mirror.url(path) for path in paths), f"http://127.0.0.1:{closed_port()}/data.gz"]
    with pytest.raises(DownloadError) as caught:
        get(tmp_path, *urls, timeout=0.3)
    lines = str(caught.value).splitlines()
    faults = ("404", "expected " + DIGEST, "truncated", "ReadTimeout", "ConnectionError")
    for line, url, fault in zip(lines[1:], urls, faults, strict=False):
        assert url in line
        assert fault in line
    assert "data.root=" in lines[-1]
    assert not (tmp_path / "data.gz").exists()


def test_certificates_that_are_not_there_are_the_reason_given(tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(DownloadError, match=r"none\.pem"):
        get(tmp_path, "https://127.0.0.1:1/data.gz")


def test_more_than_allowed_is_refused_and_not_kept(mirror, tmp_path):
    with pytest.raises(DownloadError, match="more than the 1,000 bytes"):
        get(tmp_path, mirror.url("/data.gz"), max_bytes=1000)
    assert not (tmp_path / "data.gz.part").exists()


def test_two_at_once_share_one_transfer(mirror, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: get(tmp_path, mirror.url("/data.gz")), range(4)))
    assert {path.read_bytes() for path in paths} == {PACKED}
    assert mirror.sent == len(PACKED)


def test_cache_that_cannot_be_made_is_named(mirror, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        get(tmp_path / "file" / "cache", mirror.url("/data.gz"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_named_and_ends_the_search(mirror, tmp_path):
    (tmp_path / "data.gz.part").symlink_to("/dev/full")
    with pytest.raises(DataError, match="No space left") as caught:
        get(tmp_path, mirror.url("/data.gz"), mirror.url("/data.gz"))
    assert not isinstance(caught.value, DownloadError)


def test_mnist_without_root_comes_from_the_mirrors(mirror, tmp_path, monkeypatch):
    pixels = random.Random(1).randbytes(100 * 784)
    header, labels = bytes.fromhex("00000803 00000064 0000001c 0000001c"), bytes(range(10)) * 10
    files = []
    for file in mnist.FILES:
        content = header + pixels
        if "labels" in file.name:
            content = bytes.fromhex("00000801 00000064") + labels
        mirror.files[f"/{file.name}.gz"] = gzip.compress(content)
        files.append(IdxFile(file.name, hashlib.sha256(content).hexdigest()))
    monkeypatch.setattr(mnist, "FILES", tuple(files))
    monkeypatch.setattr(mnist, "MIRRORS", (mirror.url("/"),))
    source = Mnist(cache=str(tmp_path / "cache"), validation_size=20)
    digits = source.load()
    assert np.array_equal(digits.test.labels, np.arange(100) % 10)
    assert source.load().digest == digits.digest
    assert len(mirror.requests) == 4
