"""A service in this process, at a real port, answering from a small bundle; and recorders."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from serving.__main__ import configured
from serving.app import create_app
from serving.call import App
from serving.listening import address_of, listen
from serving.settings import Limits, Settings
from tests.integration.traffic import recorder

WAIT = 10  # seconds until a service has to be ready


@dataclass(frozen=True)
class Client:
    """Asks one service."""

    url: str

    def post(
        self, path: str, data: Any = None, kind: str | None = None, **further: Any
    ) -> requests.Response:
        """Send a body of a content type; a dict is sent as JSON."""
        headers = {"content-type": kind} if kind else {}
        headers |= further.pop("headers", {})
        if isinstance(data, dict):
            further["json"], data = data, None
        return requests.post(self.url + path, data, headers=headers, timeout=20, **further)

    def get(self, path: str, **further: Any) -> requests.Response:
        """Ask for something."""
        return requests.get(self.url + path, timeout=20, **further)


@pytest.fixture(scope="session")
def bundle(make, tmp_path_factory) -> Path:
    """The bundle of a small network."""
    folder: Path = tmp_path_factory.mktemp("bundle") / "bundle"
    make(folder)
    return folder


@pytest.fixture(scope="session")
def client(bundle) -> Iterator[Client]:
    """A service as it is by default, but for the traffic store: nothing is kept."""
    with running(Settings(pointer=bundle, port=0)) as client:
        yield client


@contextmanager
def running(settings: Settings) -> Iterator[Client]:
    """Serve in a thread of this process."""
    handlers, level = logging.root.handlers[:], logging.root.level
    try:
        listener = listen(settings.host, settings.port)
        with serving(create_app(settings), listener, settings.limits) as client:
            yield client
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)


@contextmanager
def serving(app: App, listener: socket.socket, limits: Limits) -> Iterator[Client]:
    """Serve any application in a thread of this process."""
    server = uvicorn.Server(configured(app, limits))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while thread.is_alive() and not server.started:
            thread.join(0.01)
        assert server.started, "the service does not start; its log says why"
        yield Client(address_of(listener))
    finally:
        server.should_exit = True
        thread.join(WAIT)


@pytest.fixture
def start_recorder(traffic_url):
    """Start recorders; close what the test has left open."""
    started = []

    def start(url=traffic_url, **settings):
        started.append(recorder(url, **{"flush_seconds": 0.05} | settings))
        return started[-1]

    yield start
    for each in started:
        each.close(5)
