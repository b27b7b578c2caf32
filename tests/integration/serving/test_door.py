"""What becomes of a fault that nobody foresaw."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import FastAPI

from serving import api
from serving.app import Service
from serving.door import Door
from serving.guard import Guard
from serving.logs import Journal
from serving.metrics import Metrics
from serving.settings import Limits, Settings

SECRET = "the password is 1234"


async def breaks(*_):
    raise RuntimeError(SECRET)


@pytest.fixture(params=["hot", "framework"])
def door(request):
    app = FastAPI()
    api._add_errors(app)
    app.add_api_route("/broken", api._adapt(breaks), methods=["POST"])
    hot = {"/broken": breaks} if request.param == "hot" else {}
    guard = Guard(frozenset(), rate=None, burst=1)
    metrics = Metrics()
    return Door(
        app, hot, limits=Limits(), guard=guard, metrics=metrics, journal=Journal("errors")
    ), metrics


SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/broken",
    "raw_path": b"/broken",
    "root_path": "",
    "query_string": b"",
    "headers": [(b"host", b"x")],
    "client": ("127.0.0.1", 1),
}


async def receive():
    return {"type": "http.request", "body": b"{}", "more_body": False}


def test_a_client_that_is_gone_is_no_fault_of_the_service(door, caplog):
    app, metrics = door

    async def send(message):
        raise RuntimeError("the handler is closed")  # as uvloop does

    for path in ("/broken", "/nothing"):
        asyncio.run(app(SCOPE | {"path": path, "raw_path": path.encode()}, receive, send))
    assert not [each for each in caplog.records if each.levelname == "ERROR"]
    assert 'route="/broken",status="499"} 1.0' in metrics.text().decode()
    assert app.in_flight.count == 0


def test_a_fault_is_one_answer_without_its_reason_and_one_line_with_it(door, caplog):
    app, metrics = door
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(app(dict(SCOPE), receive, send))
    start, body = sent
    assert start["status"] == 500
    answer = json.loads(body["body"])
    assert answer["code"] == "internal" and SECRET not in answer["error"]
    (line,) = [each for each in caplog.records if each.name == "serving"]
    assert line.levelname == "ERROR" and SECRET in str(line.exc_info[1])
    assert 'route="/broken",status="500"} 1.0' in metrics.text().decode()
    assert app.in_flight.count == 0


def test_scrapes_at_the_same_time_count_nothing_twice(tmp_path):
    service = Service(Settings(pointer=tmp_path / "none"))
    counted = service.current.comparison
    scraping = True

    def scrape():
        while scraping:
            service._take_over()

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(scrape) for _ in range(3)]
            until = time.monotonic() + 1
            while time.monotonic() < until:
                counted.agreed += 1
            scraping = False
            for each in waiting:
                each.result()
    finally:
        sys.setswitchinterval(switch)
    service._take_over()
    text = service.metrics.text().decode()
    total = re.search(r"^digits_challenger_agreed_total (\S+)$", text, re.MULTILINE)
    assert total is not None and float(total[1]) == counted.agreed
