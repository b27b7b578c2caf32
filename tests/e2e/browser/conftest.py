"""The page in a real browser, before a service that answers from a model of MNIST."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from digits.contract.traffic import TrafficStore
from serving.settings import KEYS, SETTINGS, Settings
from tests.e2e.conftest import Program

MNIST = Path(os.environ.get("DIGITS_MNIST_ROOT", "none"))
#: a minute of training at most; augmented, because people do not write in the middle of a box
RECIPE = [
    "experiment=mnist_fast", "augmentation=affine_batched", "trainer.max_epochs=5",
    "training.label_smoothing=0.0",
]  # fmt: skip
SWITCHES = (
    "--no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --disable-sync "
    "--no-first-run --disable-background-networking --disable-component-update"
)


@dataclass(frozen=True)
class Service:
    """A service at work; ``store`` holds what it keeps."""

    address: str
    store: TrafficStore


Serve = Callable[..., Service]


@pytest.fixture(scope="package")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads MNIST well, trained now."""
    if not MNIST.is_dir():
        pytest.skip("DIGITS_MNIST_ROOT names no folder with MNIST")
    folder = tmp_path_factory.mktemp("model")
    done = Program(folder)(*RECIPE, f"data.root={MNIST}", timeout=540)
    assert done.returncode == 0, done.stderr
    (bundle,) = folder.glob("outputs/runs/*/*/bundle")
    return bundle


@pytest.fixture(scope="package")
def serve(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start a service with these settings, stopped after the last test."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*, key: str | None = None, **settings: Any) -> Service:
        folder = tmp_path_factory.mktemp("service")
        traffic = {"url": f"sqlite:///{folder}/traffic.db", "flush_seconds": 0.05}
        values = {"pointer": bundle, "traffic": traffic, **settings}
        file = folder / "settings.json"
        file.write_text(Settings.model_validate(values).model_dump_json())
        port = _free_port()
        command = [sys.executable, "-m", "uvicorn", "--factory", "serving.app:create_app"]
        process = subprocess.Popen(
            [*command, "--port", str(port), "--log-level", "warning"],
            env=os.environ | {SETTINGS: str(file)} | ({KEYS: key} if key else {}),
        )
        running.append(process)
        address = f"http://127.0.0.1:{port}"
        _await(f"{address}/readyz", process)
        return Service(address, TrafficStore(traffic["url"]))

    yield start
    for process in running:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)


@pytest.fixture(scope="package")
def service(serve: Serve) -> Service:
    """The service that most tests share."""
    return serve()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's chromium."""
    program = shutil.which("chromium")
    assert program, "there is no chromium: scripts/services installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=SWITCHES.split())
        yield browser
        browser.close()


Open = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Open a page; it must end without an error, and without a request to elsewhere."""
    complaints: list[str] = []
    pages: list[Page] = []

    def open_page(address: str, *, path: str = "/", expected: str = "", **context: Any) -> Page:
        page = browser.new_context(**context).new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                None if expected and expected in message.text else complaints.append(message.text)
            ),
        )
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((f"{address}/", "blob:", "data:"))
                else complaints.append(request.url)
            ),
        )
        page.goto(address + path)
        page.wait_for_selector(
            "#about:visible, #key-form:visible, #name-form:visible, #now:visible"
        )
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.context.close()
    assert complaints == []


@pytest.fixture(scope="package")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for pictures of the page, to be looked at."""
    return tmp_path_factory.mktemp("shots")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "the service has stopped"
        try:
            with urllib.request.urlopen(address, timeout=5) as response:
                json.load(response)
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(address)
