"""The routes of a running service, asked over HTTP."""

from __future__ import annotations

import base64
import io
import json
import logging

import numpy as np
import pytest
import requests
from PIL import Image

from serving.logs import JsonFormatter
from serving.model import ServedModel


@pytest.fixture(scope="module")
def images(digits):
    return digits.test.images[:3]


@pytest.fixture(scope="module")
def expected(bundle, images):
    """What the model says in this process."""
    return ServedModel(bundle).predict(images)


def png(image) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def holds(prediction, expected, row):
    shares = expected.probabilities[row]
    assert prediction["digit"] == shares.argmax()
    assert np.allclose(prediction["probabilities"], shares, atol=1e-6)
    assert prediction["confidence"] == pytest.approx(float(shares.max()))
    assert len(prediction["id"]) == 32
    assert prediction["stored"] == "off"


def test_one_image_in_json_and_in_octets_is_answered_alike(client, images, expected):
    for response in (
        client.post("/v1/predict", {"pixels": images[0].tolist()}),
        client.post("/v1/predict", {"pixels": (images[0].reshape(784) / 255).tolist()}),
        client.post("/v1/predict", images[0].tobytes(), "application/octet-stream"),
    ):
        assert response.status_code == 200, response.text
        holds(response.json(), expected, 0)


def test_many_images_are_answered_in_their_order(client, images, expected):
    for response in (
        client.post("/v1/predict", {"pixels": images.tolist()}),
        client.post("/v1/predict", images.tobytes(), "application/octet-stream"),
    ):
        answer = response.json()
        assert answer["version"] == answer["predictions"][0]["version"]
        assert len({each["id"] for each in answer["predictions"]}) == 3
        for row, prediction in enumerate(answer["predictions"]):
            holds(prediction, expected, row)


def test_pictures_go_through_the_preprocessing_of_the_bundle(client, bundle, images):
    model = ServedModel(bundle)
    page = np.full((100, 80), 250, np.uint8)
    page[20:76, 15:71] = 255 - images[0].repeat(2, 0).repeat(2, 1)
    seen = model.preprocess(page)
    text = base64.b64encode(png(page)).decode()
    for response in (
        client.post("/v1/predict?pixels=true", png(page), "image/png"),
        client.post("/v1/predict?pixels=true", {"image": text}),
        client.post("/v1/predict?pixels=true", files={"file": png(page)}),
    ):
        assert response.status_code == 200, response.text
        answer = response.json()
        assert base64.b64decode(answer["pixels"]) == seen.tobytes()
        holds(answer, model.predict(seen[None]), 0)
    form = {"files": {"file": png(page)}, "data": {"colour": "red"}}
    response = requests.post(client.url + "/v1/predict", **form, timeout=20)
    assert (response.status_code, response.json()["code"]) == (422, "unknown_field")
    files = [("images", ("a", png(page))), ("images", ("b", png(page)))]
    assert len(client.post("/v1/predict", files=files).json()["predictions"]) == 2


@pytest.mark.parametrize(
    ("path", "body", "kind", "status", "code"),
    [
        ("/v1/predict", b"", "application/json", 400, "empty_body"),
        ("/v1/predict", b"", "image/png", 400, "empty_body"),
        ("/v1/predict", b"", "application/octet-stream", 422, "bad_shape"),
        ("/v1/predict", b"{", "application/json", 400, "bad_json"),
        ("/v1/predict", b"<svg/>", "image/png", 422, "bad_image"),
        ("/v1/predict", b"<svg/>", "image/svg+xml", 422, "bad_image"),
        ("/v1/predict", b"x", "text/plain", 415, "unknown_type"),
        ("/v1/predict", b"x", "multipart/form-data", 400, "bad_form"),
        ("/v1/predict", b"x", "multipart/form-data; boundary=b", 400, "bad_form"),
        ("/v1/predict", b"--b--", "multipart/form-data; boundary=b", 422, "missing_field"),
        ("/v1/predict?colour=1", b"x" * 784, "application/octet-stream", 422, "unknown_field"),
        ("/v1/predict?store=maybe", b"x" * 784, "application/octet-stream", 422, "bad_query"),
        ("/v1/predict?store=1&store=0", b"x" * 784, "application/octet-stream", 422, "bad_query"),
        ("/v1/explain?method=saliency", b"{}", "application/json", 422, "unknown_field"),
        ("/v1/explain?method=magic", b"x" * 784, "application/octet-stream", 422, "bad_method"),
        ("/v1/explain?target=10", b"x" * 784, "application/octet-stream", 422, "bad_target"),
        ("/v1/explain?nearest=-1", b"x" * 784, "application/octet-stream", 422, "bad_nearest"),
        ("/v1/explain", b"x" * 1568, "application/octet-stream", 422, "too_many"),
        ("/v1/feedback", b"{}", "application/json", 422, "bad_field"),
        ("/v1/feedback", b'{"id": 1, "label": 3}', "application/json", 422, "bad_field"),
        ("/v1/feedback", b"nothing", "application/json", 422, "bad_field"),
        ("/invocations", b"1,2,3", "text/csv", 422, "bad_shape"),
        ("/invocations", b"", "text/csv", 400, "empty_body"),
        ("/invocations", b",".join([b"x"] * 784), "text/csv", 422, "bad_pixels"),
        ("/invocations", b",".join([b"nan"] * 784), "text/csv", 422, "bad_pixels"),
        ("/invocations", b",".join([b"1" * 5000] * 784), "text/csv", 422, "bad_pixels"),
        ("/v2/models/digits/infer", b"{}", "application/json", 400, "bad_input"),
        ("/v2/models/other/infer", b"{}", "application/json", 404, "unknown_model"),
        (
            "/v1/explain?nearest=0000000005",
            b"x" * 784,
            "application/octet-stream",
            422,
            "bad_nearest",
        ),
        ("/v1/feedback", b'{"' + b"a" * 5000 + b'": 1}', "application/json", 413, "too_large"),
        ("/v1/predict", b'{"pixels": [], "key": "a\\u0000b"}', "application/json", 422, "bad_key"),
        ("/v1/predict/", b"{}", "application/json", 404, "not_found"),
        ("/v1/nothing", b"{}", "application/json", 404, "not_found"),
        ("/v1/model", b"{}", "application/json", 405, "method_not_allowed"),
    ],
)
def test_every_fault_has_the_one_shape(client, path, body, kind, status, code):
    response = client.post(path, body, kind, headers={"x-request-id": "me-7"})
    fault = response.json()
    assert (response.status_code, fault["code"]) == (status, code), fault
    assert set(fault) == {"error", "code", "request_id"}
    assert fault["error"]
    assert fault["request_id"] == response.headers["x-request-id"] == "me-7"


def test_a_compressed_body_is_not_unpacked(client):
    response = client.post("/v1/predict", b"x", headers={"content-encoding": "gzip"})
    assert (response.status_code, response.json()["code"]) == (415, "compressed")


def test_head_is_get_without_the_body(client):
    for path in ("/", "/healthz", "/v1/model"):
        whole = client.get(path)
        head = requests.head(client.url + path, timeout=20)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.content))
        assert head.headers["content-type"] == whole.headers["content-type"]


def test_every_answer_is_protected(client):
    for response in (client.get("/"), client.get("/v1/model"), client.get("/nothing")):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "access-control-allow-origin" not in response.headers
        assert response.headers["x-request-id"]
        assert "server" not in response.headers


def test_health_and_model_say_what_answers(client, bundle):
    model = ServedModel(bundle)
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready", "version": model.version}
    assert client.get("/ping").status_code == 200
    described = client.get("/v1/model").json()
    assert described["version"] == model.version
    assert described["data"]["digest"] == model.manifest.data_digest
    assert described["parameters"] == model.manifest.parameters


def test_metrics_count_images_and_time_routes(client, images):
    def count():
        lines = client.get("/metrics").text.splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith("digits_predictions_total")
        )

    before = count()
    client.post("/v1/predict", images.tobytes(), "application/octet-stream")
    assert count() == before + 3
    text = client.get("/metrics").text
    assert 'digits_request_seconds_count{route="/v1/predict",status="200"}' in text
    client.get("/a/path/nobody/knows")
    assert "nobody" not in client.get("/metrics").text


def test_openapi_describes_every_route_with_examples(client):
    described = client.get("/openapi.json").json()
    for path in ("/v1/predict", "/v1/explain", "/v1/feedback", "/v1/model", "/invocations"):
        assert path in described["paths"]
    body = described["paths"]["/v1/predict"]["post"]["requestBody"]["content"]
    example = next(iter(body["application/json"]["examples"].values()))["value"]
    assert client.post("/v1/predict", example).status_code == 200


def test_sagemaker_gets_json_and_csv(client, images, expected):
    lines = "\n".join(",".join(map(str, image.reshape(-1))) for image in images)
    response = client.post("/invocations", lines, "text/csv")
    for row, prediction in enumerate(response.json()["predictions"]):
        holds(prediction, expected, row)
    response = client.post("/invocations", lines, "text/csv", headers={"accept": "text/csv"})
    assert [int(line.split(",")[0]) for line in response.text.splitlines()] == [
        int(digit) for digit in expected.probabilities.argmax(1)
    ]
    response = client.post("/invocations", {"instances": images.tolist()})
    assert len(response.json()["predictions"]) == 3
    response = client.post("/invocations", images[0].tobytes(), "application/octet-stream")
    holds(response.json(), expected, 0)
    extra = client.post("/invocations", {"instances": images.tolist(), "more": 1})
    assert extra.json()["code"] == "unknown_field"


class Lines(logging.Handler):
    """Keeps what the service writes, as it writes it."""

    def __init__(self):
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.written = []

    def emit(self, record):
        self.written.append(json.loads(self.format(record)))


def test_what_is_logged_has_an_id_and_no_pixels(client, images):
    lines = Lines()
    logging.root.addHandler(lines)
    try:
        wrong = {"pixels": images[0].tolist()[:-1]}
        client.post("/v1/predict", wrong, headers={"x-request-id": "q"})
        client.get("/healthz")  # by then the line of the first one is written
    finally:
        logging.root.removeHandler(lines)
    (line,) = [line for line in lines.written if line.get("request_id") == "q"]
    assert line["status"] == 422 and line["code"] == "bad_shape"
    assert len(json.dumps(line)) < 500
