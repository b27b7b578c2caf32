"""The function: events of every kind, answered as the service answers."""

from __future__ import annotations

import base64
import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest

from serving import aws_lambda
from serving.aws_lambda import Function
from serving.logs import Journal
from serving.settings import Limits
from serving.single import Single

DIGIT = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
OCTETS = "application/octet-stream"


def event(
    body: bytes | str | None = None,
    *,
    kind: str = OCTETS,
    method: str = "POST",
    path: str = "/v1/predict",
    stage: str = "$default",
    query: str = "",
    **headers: str,
) -> dict:
    """As a function URL gives it; bytes are put in base64 and text is not."""
    is_binary = isinstance(body, bytes)
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"content-type": kind, "content-length": "9999999999", **headers},
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "203.0.113.9"},
            "stage": stage,
        },
        "body": base64.b64encode(body).decode() if is_binary else body,
        "isBase64Encoded": is_binary,
    }


@pytest.fixture(scope="module")
def function(bundle):
    return Function(Single(bundle, version="digits/3"), Journal("errors"))


def content(answer: dict) -> dict:
    return json.loads(answer["body"])


def test_an_event_is_answered_as_by_the_service(function, client):
    answer = function(event(DIGIT.tobytes()), "an-invoke")
    served = client.post("/v1/predict", DIGIT.tobytes(), OCTETS)
    assert answer["statusCode"] == 200 and answer["isBase64Encoded"] is False
    assert content(answer)["probabilities"] == pytest.approx(served.json()["probabilities"])
    assert content(answer)["version"] == "digits/3"
    kept = {"content-type", "x-content-type-options", "cache-control", "content-security-policy"}
    for name in kept:
        assert answer["headers"][name] == served.headers[name]
    assert answer["headers"]["x-request-id"] == "an-invoke"


def test_text_comes_as_it_is_and_the_query_counts(function):
    text = json.dumps({"pixels": DIGIT.tolist()})
    answer = function(event(text, kind="application/json", query="pixels=true"), "i")
    assert base64.b64decode(content(answer)["pixels"]) == DIGIT.tobytes()


def test_the_client_may_name_the_request(function):
    sent = event(DIGIT.tobytes(), **{"X-Request-Id": "mine-1"})
    assert function(sent, "i")["headers"]["x-request-id"] == "mine-1"
    sent = event(b"", **{"x-request-id": "not one\n"})
    assert content(function(sent, "i"))["request_id"] == "i"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/ping"])
def test_health_is_that_of_the_service(function, client, path):
    answer = function(event(method="GET", path=path), "i")
    served = client.get(path).json()
    assert content(answer) == {**served, **({"version": "digits/3"} if "version" in served else {})}


def test_the_name_of_a_stage_is_no_part_of_the_path(function):
    sent = event(DIGIT.tobytes(), path="/prod/v1/predict", stage="prod")
    assert function(sent, "i")["statusCode"] == 200
    assert function(event(method="GET", path="/prod", stage="prod"), "i")["statusCode"] == 404


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (event(path="/v1/other"), 404, "not_found"),
        (event(method="GET"), 405, "method_not_allowed"),
        (event(method="POST", path="/healthz"), 405, "method_not_allowed"),
        (event(b""), 422, "bad_shape"),
        (event(None, kind="application/json"), 400, "empty_body"),
        (event(b"7", kind="text/plain"), 415, "unknown_type"),
        (event(bytes(784), query="size=2"), 422, "unknown_field"),
        (event(bytes(784), **{"content-encoding": "gzip"}), 415, "compressed"),
        ({**event(b""), "body": "%%"}, 400, "bad_base64"),
        ({**event(b""), "body": "A" * 8_000_000}, 413, "too_large"),
        (event("x" * (4 * 2**20 + 1)), 413, "too_large"),
        ({"httpMethod": "POST", "path": "/v1/predict"}, 400, "bad_event"),
    ],
)
def test_what_is_wrong_is_said(function, sent, status, code):
    answer = function(sent, "i")
    assert (answer["statusCode"], content(answer)["code"]) == (status, code)
    assert set(content(answer)) == {"error", "code", "request_id"}
    assert "connection" not in answer["headers"]


def test_a_direct_invoke_gets_the_answer_itself(function):
    assert function({"pixels": DIGIT.tolist()}, "i")["version"] == "digits/3"
    many = function({"pixels": [DIGIT.tolist()] * 2, "key": "k"}, "i")
    assert len(many["predictions"]) == 2


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({}, "missing_field"),
        (None, "bad_json"),
        ([1], "bad_json"),
        ({"pixels": [float("nan")] * 784}, "bad_pixels"),
        ({"requestContext": None, "body": "x"}, "missing_field"),
    ],
)
def test_a_direct_invoke_gets_the_error_itself(function, sent, code):
    answer = function(sent, "i")
    assert (answer["status"] >= 400, answer["code"], answer["request_id"]) == (True, code, "i")


def test_keys_are_asked_for_over_http_alone(bundle):
    guarded = Function(Single(bundle), Journal("none"), frozenset({"right"}))
    assert guarded(event(DIGIT.tobytes()), "i")["statusCode"] == 401
    assert guarded(event(DIGIT.tobytes(), **{"X-Api-Key": "right"}), "i")["statusCode"] == 200
    assert guarded(event(method="GET", path="/readyz"), "i")["statusCode"] == 200
    assert "digit" in guarded({"pixels": DIGIT.tolist()}, "i")


def test_an_answer_that_lambda_would_drop_is_an_error(bundle):
    function = Function(Single(bundle, limits=Limits(batch=65_536)), Journal("none"))
    answer = function(event(bytes(784 * 5000), query="pixels=true"), "i")
    assert (answer["statusCode"], content(answer)["code"]) == (413, "too_many")


def test_refusals_are_logged_and_answers_are_not(function, caplog):
    with caplog.at_level(logging.INFO):
        function(event(DIGIT.tobytes()), "i")
        assert not caplog.records
        function(event(b"7", kind="text/plain"), "i")
    (record,) = caplog.records
    fields = record.digits_fields
    assert (fields["status"], fields["code"], fields["request_id"]) == (415, "unknown_type", "i")
    assert fields["route"] == "/v1/predict"


def test_what_breaks_is_answered_and_logged(bundle, monkeypatch, caplog):
    single = Single(bundle)
    monkeypatch.setattr(single.model, "predict", lambda images: 1 / 0)
    answer = Function(single, Journal("errors"))(event(bytes(784)), "i")
    assert (answer["statusCode"], content(answer)["code"]) == (500, "internal")
    assert "ZeroDivisionError" in caplog.text


def test_the_environment_says_what_is_answered_from(bundle, monkeypatch):
    monkeypatch.setenv("DIGITS_MODEL", str(bundle))
    monkeypatch.setenv("DIGITS_MODEL_VERSION", "digits/7")
    monkeypatch.setenv("DIGITS_SERVING_LIMITS__BATCH", "1")
    monkeypatch.setattr(logging.root, "handlers", [])
    aws_lambda.function.cache_clear()
    context = SimpleNamespace(aws_request_id="of-the-invoke")
    try:
        answer = aws_lambda.handler(event(DIGIT.tobytes()), context)
        assert content(answer)["version"] == "digits/7"
        refused = aws_lambda.handler(event(DIGIT.tobytes() * 2), context)
        assert content(refused)["code"] == "too_many"
        assert content(refused)["request_id"] == "of-the-invoke"
    finally:
        aws_lambda.function.cache_clear()
