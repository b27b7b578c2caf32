"""Requests that are sent before the one in front has its answer."""

from __future__ import annotations

import time

from serving.direct import DirectProtocol
from serving.settings import Settings
from tests.integration.serving.conftest import running
from tests.integration.serving.test_direct import post, statuses
from tests.integration.serving.test_limits import connected


def test_the_idleness_before_a_request_is_not_counted_against_it(bundle, monkeypatch):
    made = DirectProtocol.connection_made

    def made_in_a_hurry(self, transport):
        made(self, transport)
        self.timeout_keep_alive = 0.3

    monkeypatch.setattr(DirectProtocol, "connection_made", made_in_a_hurry)
    with running(Settings(pointer=bundle, port=0)) as client, connected(client, wait=5) as both:
        both.sendall(post() + post()[:-1])
        time.sleep(1)
        both.sendall(post()[-1:])
        received = b""
        while len(statuses(received)) < 2 and (chunk := both.recv(65536)):
            received += chunk
        assert statuses(received) == [200, 200]


def test_requests_before_a_head_are_no_part_of_it(client):
    many = 50  # more bytes than a head may have
    with connected(client, wait=5) as connection:
        connection.sendall(post() * many + post()[:40])
        time.sleep(0.2)
        connection.sendall(post()[40:])
        received = b""
        while len(statuses(received)) <= many and (chunk := connection.recv(65536)):
            received += chunk
    assert statuses(received) == [200] * (many + 1)
