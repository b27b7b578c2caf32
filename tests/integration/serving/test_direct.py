"""The short way: plain requests are answered as they arrive, and all promises hold there too."""

from __future__ import annotations

import contextlib
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.direct import DirectProtocol
from serving.settings import KEYS, Batching, Limits, Settings
from tests.integration.serving.conftest import running
from tests.integration.serving.test_limits import DIGIT, connected, huge_png, raw

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSE = b"Connection: close\r\n"
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    + huge_png(40)
    + b"\r\n--b--\r\n"
)
NEVER_CLOSED = 1  # seconds until a connection is taken for one that stays open


def post(body=DIGIT, further=b"", kind=b"application/octet-stream", version=b"1.1"):
    return (
        b"POST /v1/predict HTTP/%b\r\nHost: x\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n%b"
        % (version, kind, len(body), further, body)
    )


def statuses(received):
    return [int(status) for status in STATUS.findall(received)]


@pytest.fixture
def short(monkeypatch):
    """Answers that took the short way."""
    answers = []
    send = DirectProtocol.send

    def noted(self, answer):
        answers.append(answer)
        send(self, answer)

    monkeypatch.setattr(DirectProtocol, "send", noted)
    return answers


def header_lines(received):
    lines = received.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return dict(line.split(b": ", 1) for line in lines)


def test_both_ways_say_the_same(client, short):
    quick = raw(client, post(further=b"X-Request-Id: mine\r\n"), wait=NEVER_CLOSED)
    assert len(short) == 1
    slow = raw(client, post(further=b"X-Request-Id: mine\r\n" + CLOSE))
    assert len(short) == 1
    one, other = header_lines(quick), header_lines(slow)
    assert other.pop(b"connection") == b"close"
    for each in (one, other):
        assert each.pop(b"date")
        assert each[b"x-request-id"] == b"mine"
    assert one == other


@pytest.mark.parametrize(
    "request_",
    [
        post(further=CLOSE),
        post(version=b"1.0"),
        post(further=b"Expect: 100-continue\r\n" + CLOSE),
        post(FORM, kind=b"Multipart/form-data; boundary=b"),
    ],
)
def test_what_is_not_plain_takes_the_long_way(client, short, request_):
    received = raw(client, request_, wait=NEVER_CLOSED)
    assert 200 in statuses(received) and not short


def test_a_body_may_come_in_pieces(client, short):
    whole = post()
    with connected(client, wait=5) as connection:
        for part in (whole[:30], whole[30:200], whole[200:-1], whole[-1:]):
            connection.sendall(part)
            time.sleep(0.02)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert not short
        connection.sendall(whole)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert len(short) == 1


def test_requests_in_a_row_are_answered_in_their_order(client, short):
    in_thread = post(DIGIT * 65)  # more images than are answered on the event loop
    row = [post(), GET, post(), in_thread, post(), b"GET /no HTTP/1.1\r\nHost: x\r\n\r\n", post()]
    received = raw(client, b"".join(row), wait=NEVER_CLOSED)
    assert statuses(received) == [200, 200, 200, 200, 200, 404, 200]
    assert received.count(b'"predictions"') == 1
    assert received.index(b'"alive"') < received.index(b'"predictions"')
    assert len(short) == 1  # the rest had to wait for their turn


def test_what_has_to_wait_goes_on_in_a_task(bundle, short):
    with running(Settings(pointer=bundle, port=0)) as client:
        for body, kind in (
            (DIGIT * 65, b"application/octet-stream"),
            (huge_png(400), b"image/png"),
        ):
            received = raw(client, post(body, kind=kind), wait=NEVER_CLOSED)
            assert statuses(received) == [200]
        assert not short
        counted = 'digits_request_seconds_count{route="/v1/predict",status="200"} 2.0'
        assert counted in client.get("/metrics").text


def test_batches_are_waited_for(bundle, short):
    settings = Settings(pointer=bundle, port=0, batching=Batching(max_batch=2, max_wait_ms=1000))
    with running(settings) as client, ThreadPoolExecutor(2) as pool:
        dawdler = connected(client, wait=5)
        dawdler.sendall(post()[:-1])  # at work, so that there is something to wait for
        time.sleep(0.1)
        both = [pool.submit(raw, client, post(), wait=NEVER_CLOSED) for _ in range(2)]
        assert [statuses(each.result()) for each in both] == [[200], [200]]
        dawdler.close()
    assert len(short) == 1  # of the one that filled the batch


def test_too_large_a_body_ends_the_connection(bundle, short):
    settings = Settings(pointer=bundle, port=0, limits=Limits(body_bytes=500))
    with running(settings) as client:
        received = raw(client, post() + post(b"") + GET)  # what follows is not looked at
        assert statuses(received) == [413]
        assert header_lines(received)[b"connection"] == b"close"
        assert len(short) == 1
        assert 'route="/v1/predict",status="413"} 1.0' in client.get("/metrics").text


def test_faults_are_answered_and_the_connection_stays(client, short):
    bad = [post(b"{", kind=b"application/json"), post(b"7"), post(kind=b"text/plain"), post(b"")]
    with connected(client, wait=5) as connection:
        for request, status in zip(bad, (400, 422, 415, 422), strict=True):
            connection.sendall(request)
            assert statuses(connection.recv(65536)) == [status]
        connection.sendall(post())
        assert statuses(connection.recv(65536)) == [200]
    assert len(short) == 5


def test_the_guard_stands_there_too(bundle, monkeypatch, short):
    monkeypatch.setenv(KEYS, "first")
    key = b"X-API-Key: first\r\n"
    limits = Limits(rate=0.1, burst=2)
    with running(Settings(pointer=bundle, port=0, limits=limits)) as client:
        row = [
            post(),
            post(further=key + b"Origin: http://elsewhere\r\n"),
            *[post(further=key)] * 3,
        ]
        received = raw(client, b"".join(row), wait=NEVER_CLOSED)
        assert statuses(received) == [401, 403, 200, 200, 429]
        assert b"retry-after: " in received and b"www-authenticate: Bearer" in received
    assert len(short) == 5


def test_too_many_at_work(bundle, short):
    settings = Settings(pointer=bundle, port=0, limits=Limits(in_flight=1))
    with running(settings) as client, connected(client, wait=5) as dawdler:
        dawdler.sendall(post()[:-1])
        time.sleep(0.1)
        received = raw(client, post(), wait=NEVER_CLOSED)
        assert statuses(received) == [503] and b"retry-after: 1" in received
        dawdler.sendall(post()[-1:])
        assert statuses(dawdler.recv(65536)) == [200]
        assert statuses(raw(client, post(), wait=NEVER_CLOSED)) == [200]


def test_an_idle_connection_is_kept_and_then_closed(bundle, monkeypatch, short):
    made = DirectProtocol.connection_made

    def made_with_patience(self, transport):
        made(self, transport)
        self.timeout_keep_alive = 1

    monkeypatch.setattr(DirectProtocol, "connection_made", made_with_patience)
    settings = Settings(pointer=bundle, port=0, limits=Limits(request_seconds=0.3))
    with running(settings) as client, connected(client, wait=5) as connection:
        for _ in range(3):
            connection.sendall(post())
            assert statuses(connection.recv(65536)) == [200]
            time.sleep(0.7)  # longer than a request may take, shorter than idleness may last
        began = time.monotonic()
        assert connection.recv(65536) == b""
        assert time.monotonic() - began < 1
    assert len(short) == 3


def test_something_that_is_no_request_does_not_keep_it_open(bundle, short):
    settings = Settings(pointer=bundle, port=0, limits=Limits(request_seconds=0.3))
    with running(settings) as client, connected(client, wait=5) as connection:
        connection.sendall(post())
        assert statuses(connection.recv(65536)) == [200]
        connection.sendall(b"\r\n")
        while connection.recv(65536):
            pass


def test_who_does_not_read_is_not_answered_for_ever(bundle, short):
    settings = Settings(pointer=bundle, port=0, limits=Limits(in_flight=1, request_seconds=0.5))
    with running(settings) as client, connected(client, wait=0.2) as connection:
        with contextlib.suppress(TimeoutError, ConnectionError):
            while True:  # until no answer fits on the way any more
                connection.sendall(post() * 100)
        until = time.monotonic() + 10  # whenever a little fits again, more patience is due
        while statuses(raw(client, post(), wait=NEVER_CLOSED)) != [200]:
            assert time.monotonic() < until


def test_a_stop_waits_for_what_has_begun_and_not_for_idle_connections(bundle, short):
    picture = post(huge_png(4000), kind=b"image/png")
    with ThreadPoolExecutor(1) as pool:
        with running(Settings(pointer=bundle, port=0)) as client:
            idle = connected(client, wait=5)
            idle.sendall(post())
            assert statuses(idle.recv(65536)) == [200]
            slow = pool.submit(raw, client, picture)
            time.sleep(0.05)
            began = time.monotonic()
        assert time.monotonic() - began < 4  # an idle connection is kept for longer
        assert statuses(slow.result()) == [200]
        assert idle.recv(65536) == b""
        idle.close()
