"""One question to a service, and servers that do not behave as one."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator

import pytest

from digits.deployment.asking import reply
from digits.errors import DeploymentError
from serving.settings import KEYS


class Server(socketserver.ThreadingTCPServer):
    """Answers every request with the same bytes, and keeps what it was asked."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, answer: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.asked = answer, []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Read the head of the request, answer, hang up."""
        lines = iter(self.rfile.readline, b"\r\n")
        self.server.asked.append(b"".join(lines).decode())
        self.wfile.write(self.server.answer)


@pytest.fixture
def serve() -> Iterator:
    """Start servers of fixed answers."""
    servers = []

    def start(answer: bytes) -> Server:
        servers.append(Server(answer))
        threading.Thread(target=servers[-1].serve_forever, args=(0.05,), daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def answer(status: str, content: bytes, *more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", "Connection: close", *more]
    return "\r\n".join([*head, "", ""]).encode() + content


def test_any_status_is_an_answer(serve):
    assert reply(serve(answer("200 OK", b'{"digit": 7}')).url).content == {"digit": 7}
    refused = reply(serve(answer("429 Too Many", b'{"code": "busy"}')).url, b"x")
    assert (refused.status, refused.content) == (429, {"code": "busy"})


@pytest.mark.parametrize(
    "wrong",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{",
        b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n",
    ],
    ids=["another protocol", "nothing", "cut short", "error cut short"],
)
def test_half_an_answer_is_none(serve, wrong):
    with pytest.raises(DeploymentError, match="does not answer"):
        reply(serve(wrong).url)


@pytest.mark.parametrize("status", ["302 Found", "307 Temporary Redirect"])
def test_a_key_does_not_follow_a_redirect(serve, status, monkeypatch):
    monkeypatch.setenv(KEYS, "secret")
    elsewhere = serve(answer("200 OK", b"{}"))
    here = serve(answer(status, b"", f"Location: {elsewhere.url}/v1/model"))
    with pytest.raises(DeploymentError, match=f"answers {status[:3]}: go elsewhere"):
        reply(f"{here.url}/v1/model")
    assert "secret" in here.asked[0] and elsewhere.asked == []


def test_no_proxy_is_asked_for_this_machine(serve, monkeypatch):
    proxy, here = serve(answer("200 OK", b'{"proxy": 1}')), serve(answer("200 OK", b"{}"))
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy.url)
    for host in ("127.0.0.1", "localhost"):
        assert reply(here.url.replace("127.0.0.1", host)).content == {}
    assert proxy.asked == []
    assert reply("http://digits.invalid/v1/model").content == {"proxy": 1}
