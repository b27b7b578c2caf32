"""A service under attack: too much, too slow, too often, from elsewhere."""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.listening import listen
from serving.settings import KEYS, Limits, Settings
from tests.integration.serving.conftest import running, serving

DIGIT = b"\x07" * 784
OCTETS = "application/octet-stream"


def connected(client, wait: float) -> socket.socket:
    """Connect; what takes longer than ``wait`` seconds is a TimeoutError."""
    host, _, port = client.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=wait)


def raw(client, *parts: bytes, wait: float = 5) -> bytes:
    """Send bytes as they are, and return all that comes back."""
    with connected(client, wait) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except (TimeoutError, ConnectionResetError):
            pass
        return received


def huge_png(side: int) -> bytes:
    """A PNG of side x side black pixels, in a few kilobytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    packer, rows = zlib.compressobj(9), io.BytesIO()
    for _ in range(side):
        rows.write(packer.compress(b"\0" * (side // 8 + 1)))
    rows.write(packer.flush())
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", rows.getvalue()) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_a_bomb_is_refused_by_its_header(client):
    bomb = huge_png(10_000)
    assert len(bomb) < 100_000
    began = time.perf_counter()
    response = client.post("/v1/predict", bomb, "image/png")
    assert (response.status_code, response.json()["code"]) == (422, "bad_image")
    assert "100,000,000 pixels" in response.json()["error"]
    assert time.perf_counter() - began < 5


def test_a_large_picture_in_a_small_file_does_not_hold_up_others(client):
    picture = huge_png(4000)
    assert len(picture) < 10_000
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.post, "/v1/predict", picture, "image/png")
        waits = []
        while not slow.done():
            began = time.perf_counter()
            assert client.get("/healthz").status_code == 200
            waits.append(time.perf_counter() - began)
        assert slow.result().status_code == 200
    assert len(waits) > 3  # one at most, were it decoded on the event loop


def test_fifty_megabytes_are_refused_before_they_are_read(client):
    head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 52428800\r\n\r\n"
    assert raw(client, head, wait=2).startswith(b"HTTP/1.1 413")


def test_a_body_of_unknown_length_is_cut_off_at_the_limit(bundle):
    settings = Settings(pointer=bundle, port=0, limits=Limits(body_bytes=2000))
    head = (
        b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/octet-stream\r\n\r\n"
    )
    chunk = b"310\r\n" + DIGIT + b"\r\n"
    with running(settings) as client:
        assert raw(client, head, chunk, b"0\r\n\r\n", wait=1).startswith(b"HTTP/1.1 200")
        assert raw(client, head, *[chunk] * 3, wait=1).startswith(b"HTTP/1.1 413")


def test_a_client_that_dawdles_is_told_so(bundle):
    settings = Settings(pointer=bundle, port=0, limits=Limits(request_seconds=0.3))
    head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 784\r\n\r\nabc"
    with running(settings) as client:
        assert raw(client, head, wait=3).startswith(b"HTTP/1.1 408")
        assert client.post("/v1/predict", DIGIT, OCTETS).status_code == 200


def test_a_head_without_end_is_cut_off(client):
    for head in (b"X-Much: " + b"a" * 100_000, b"".join(b"X-%d: a\r\n" % n for n in range(9999))):
        # What it says may be lost on the way; that it closes is not.
        with connected(client, wait=5) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + head)
            while chunk := connection.recv(65536):
                assert chunk.startswith(b"HTTP/1.1 431")


def test_a_head_that_dawdles_is_told_so(bundle):
    settings = Settings(pointer=bundle, port=0, limits=Limits(request_seconds=0.3))
    whole = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with running(settings) as client:
        for begun in (b"", b"GET /heal", b"GET / HTTP/1.1\r\nHost: x\r\n", whole + b"GET /heal"):
            assert b"HTTP/1.1 408" in raw(client, begun, wait=3)
        assert client.get("/healthz").status_code == 200


def open_connection(client, *, window: int | None = None) -> socket.socket:
    host, _, port = client.url.removeprefix("http://").partition(":")
    connection = socket.socket()
    if window is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    connection.settimeout(5)
    connection.connect((host, int(port)))
    return connection


def test_a_connection_does_not_stay_because_something_trickles_in(bundle):
    settings = Settings(pointer=bundle, port=0, limits=Limits(request_seconds=0.3))
    whole = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    foreign = (
        b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nOrigin: http://e\r\nContent-Length: 9\r\n\r\n"
    )
    with running(settings) as client:
        for request in (whole, foreign):
            with open_connection(client) as connection:
                connection.sendall(request)
                assert connection.recv(65536).startswith((b"HTTP/1.1 200", b"HTTP/1.1 403"))
                connection.sendall(b"\r\n")  # no request, and yet it was not idle
                while connection.recv(65536):  # until it is closed
                    pass


def test_who_does_not_read_the_answer_is_cut_off(bundle):
    settings = Settings(pointer=bundle, port=0, limits=Limits(in_flight=1, request_seconds=0.5))
    many = DIGIT * 1024
    head = (
        b"POST /v1/predict?pixels=true HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n"
        b"Content-Type: application/octet-stream\r\n\r\n" % len(many)
    )
    with running(settings) as client, open_connection(client, window=4096) as connection:
        connection.settimeout(0.2)
        with contextlib.suppress(TimeoutError, ConnectionError):
            while True:  # until no answer fits on the way any more
                connection.sendall(head + many)
        time.sleep(2)
        assert client.post("/v1/predict", DIGIT, OCTETS).status_code == 200


def test_headers_behind_a_body_are_not_kept():
    seen = []

    async def app(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        seen.append(dict(scope["headers"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(app, listen("127.0.0.1", 0), Limits()) as client:
        assert raw(client, head, b"0\r\n", b"X-Late: a\r\n" * 1000, b"\r\n")[9:12] == b"204"
    assert set(seen[0]) == {b"host", b"connection", b"transfer-encoding"}


def test_more_connections_than_allowed_are_closed(bundle):
    settings = Settings(pointer=bundle, port=0, limits=Limits(connections=2))
    with running(settings) as client:
        host, _, port = client.url.removeprefix("http://").partition(":")
        open_ones = [socket.create_connection((host, int(port))) for _ in range(2)]
        time.sleep(0.2)
        assert raw(client, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 503")
        for each in open_ones:
            each.close()
        time.sleep(0.2)
        assert client.get("/healthz").status_code == 200


def test_too_many_requests_at_once_are_told_to_come_again(bundle):
    settings = Settings(pointer=bundle, port=0, limits=Limits(in_flight=2, request_seconds=1))
    slow = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 784\r\n\r\nabc"
    with running(settings) as client, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(raw, client, slow, wait=3) for _ in range(2)]
        time.sleep(0.3)
        response = client.post("/v1/predict", DIGIT, OCTETS)
        assert (response.status_code, response.json()["code"]) == (503, "busy")
        assert int(response.headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200  # busy is not dead
        for each in waiting:
            assert each.result().startswith(b"HTTP/1.1 408")
        assert client.post("/v1/predict", DIGIT, OCTETS).status_code == 200


def test_a_client_that_asks_too_often_is_told_when_to_ask_again(bundle):
    settings = Settings(pointer=bundle, port=0, limits=Limits(rate=1, burst=5))
    with running(settings) as client:
        answers = [client.post("/v1/predict", DIGIT, OCTETS) for _ in range(8)]
        codes = [each.status_code for each in answers]
        assert codes[:5] == [200] * 5 and 429 in codes[5:]
        late = answers[codes.index(429)]
        assert int(late.headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200


def test_more_images_than_allowed(bundle):
    settings = Settings(pointer=bundle, port=0, limits=Limits(batch=2))
    with running(settings) as client:
        assert client.post("/v1/predict", DIGIT * 2, OCTETS).status_code == 200
        response = client.post("/v1/predict", DIGIT * 3, OCTETS)
        assert (response.status_code, response.json()["code"]) == (413, "too_many")


def test_with_keys_only_those_who_have_one_are_answered(bundle, monkeypatch):
    monkeypatch.setenv(KEYS, "first, second")
    with running(Settings(pointer=bundle, port=0)) as client:
        assert client.post("/v1/predict", DIGIT, OCTETS).status_code == 401
        for path in ("/v1/model", "/metrics", "/openapi.json", "/v2/models/digits"):
            assert client.get(path).status_code == 401
        for headers in ({"x-api-key": "second"}, {"authorization": "Bearer first"}):
            response = client.post("/v1/predict", DIGIT, OCTETS, headers=headers)
            assert response.status_code == 200
        assert client.get("/").status_code == 200
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/predict", "/v1/feedback", "/invocations", "/v1/labelling/undo"]
)
def test_pages_of_other_sites_cannot_post(client, path):
    response = client.post(path, DIGIT, OCTETS, headers={"origin": "http://elsewhere"})
    assert (response.status_code, response.json()["code"]) == (403, "cross_site")


def test_requests_and_answers_are_not_mixed_up_by_many_clients(bundle, digits):
    from serving.model import ServedModel
    from serving.settings import Batching

    images = digits.train.images
    expected = ServedModel(bundle).predict(images).probabilities
    settings = Settings(pointer=bundle, port=0, batching=Batching(max_batch=8, max_wait_ms=2))
    with running(settings) as client, ThreadPoolExecutor(16) as pool:

        def ask(row):
            answer = client.post("/v1/predict", images[row].tobytes(), OCTETS).json()
            return abs(answer["probabilities"] - expected[row]).max() < 1e-5

        assert all(pool.map(ask, range(len(images))))
