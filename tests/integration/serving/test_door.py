"""What becomes of a fault that nobody foresaw."""

from __future__ import annotations

import asyncio
import json

import pytest
from fastapi import FastAPI

from serving import api
from serving.door import Door
from serving.guard import Guard
from serving.logs import Journal
from serving.metrics import Metrics
from serving.settings import Limits

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


def test_a_fault_is_one_answer_without_its_reason_and_one_line_with_it(door, caplog):
    app, metrics = door
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/broken",
        "raw_path": b"/broken",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"x")],
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(app(scope, receive, send))
    start, body = sent
    assert start["status"] == 500
    answer = json.loads(body["body"])
    assert answer["code"] == "internal" and SECRET not in answer["error"]
    (line,) = [each for each in caplog.records if each.name == "serving"]
    assert line.levelname == "ERROR" and SECRET in str(line.exc_info[1])
    assert 'route="/broken",status="500"} 1.0' in metrics.text().decode()
    assert app.in_flight == 0
