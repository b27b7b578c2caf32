"""The Open Inference Protocol: by hand, and by Triton's own client."""

from __future__ import annotations

import numpy as np
import pytest

from digits.contract.manifest import ONNX, Manifest
from digits.contract.pointer import Pointed, Pointer
from serving.model import ServedModel
from serving.settings import Challenger, Settings
from tests.integration.serving.conftest import running

PATH = "/v2/models/digits/infer"


@pytest.fixture(scope="module")
def images(digits):
    return digits.test.images[:5]


@pytest.fixture(scope="module")
def shares(bundle, images):
    return ServedModel(bundle).predict(images).probabilities


def asked(data, shape, kind="UINT8", **further):
    return {
        "inputs": [{"name": "pixels", "shape": shape, "datatype": kind, "data": data}],
        **further,
    }


@pytest.mark.parametrize("shape", [[5, 28, 28], [5, 784], [5, 1, 28, 28], [5, 28, 28, 1]])
@pytest.mark.parametrize(("kind", "scale"), [("UINT8", 1), ("INT64", 1), ("FP32", 1 / 255)])
def test_json_in_any_shape_and_type(client, images, shares, shape, kind, scale):
    data = (images * scale).reshape(-1).tolist() if scale != 1 else images.reshape(-1).tolist()
    answer = client.post(PATH, asked(data, shape, kind, id="mine")).json()
    assert (answer["id"], answer["model_name"]) == ("mine", "digits")
    outputs = {each["name"]: each for each in answer["outputs"]}
    assert outputs["digit"]["data"] == shares.argmax(1).tolist()
    assert outputs["probabilities"]["shape"] == [5, 10]
    assert np.allclose(outputs["probabilities"]["data"], shares.reshape(-1), atol=1e-5)


def test_data_may_be_nested_and_outputs_chosen(client, images, shares):
    body = asked(images.tolist(), [5, 28, 28], outputs=[{"name": "digit"}])
    (output,) = client.post(PATH, body).json()["outputs"]
    assert output["data"] == shares.argmax(1).tolist()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": []},
        {"inputs": [3]},
        {"inputs": "x"},
        asked([0] * 784, [28, 28], "BYTES"),
        asked([0] * 784, [28, 28], None),
        asked([0] * 784, [784, 1]),
        asked([0] * 784, [-1, 784]),
        asked([0] * 784, [True, 784]),
        asked([0] * 784, "784"),
        asked([0] * 783, [28, 28]),
        asked(None, [28, 28]),
        asked("x", [28, 28]),
        asked(["1"] * 784, [28, 28]),
        asked([300] * 784, [28, 28]),
        asked([-1] * 784, [28, 28], "INT32"),
        asked([0] * 784, [28, 28], outputs=[{"name": "nothing"}]),
        asked([0] * 784, [28, 28], outputs="digit"),
        asked([0] * 784, [28, 28], outputs=[{"name": "digit"}, {"name": "digit"}]),
        asked([0.5] * 784, [28, 28]),
        asked([[0] * 392, [0] * 391 + ["1"]], [28, 28]),
        asked([[0] * 783, [0]], [28, 28]),
        asked([[0] * 784, 0], [28, 28]),
        asked([[[]] * 784], [28, 28]),
        asked([0] * 784, [28, 28], outputs=[3]),
        asked([0] * 784, [28, 28], parameters=3),
        {"inputs": [{"name": "other", "shape": [28, 28], "datatype": "UINT8", "data": []}]},
        {"inputs": [{**asked([], [28, 28])["inputs"][0], "parameters": {"binary_data_size": 784}}]},
    ],
)
def test_a_wrong_request_is_answered_in_the_protocols_own_way(client, body):
    response = client.post(PATH, body)
    assert response.status_code in (400, 422)
    assert response.json()["error"]


def test_a_length_of_thousands_of_digits_is_no_fault_of_the_service(client):
    headers = {"inference-header-content-length": "9" * 5000}
    assert client.post(PATH, asked([0] * 784, [28, 28]), headers=headers).status_code == 400


def test_a_version_asked_for_by_its_number_is_not_answered_by_a_challenger(bundle, tmp_path):
    digest = Manifest.read(bundle).files[ONNX]
    one, two = (
        Pointed(name="digits", number=number, folder=bundle, onnx_sha256=digest)
        for number in (1, 2)
    )
    pointer = tmp_path / "pointer.json"
    Pointer(champion=one, challenger=two).write(pointer)
    canary = Challenger(mode="canary", percent=100)
    with running(Settings(pointer=pointer, port=0, challenger=canary)) as client:
        body = asked([0] * 784, [28, 28])
        assert client.post(PATH, body).json()["model_version"] == "2"
        named = client.post("/v2/models/digits/versions/1/infer", body)
        assert named.json()["model_version"] == "1"


def test_metadata_and_health(client):
    model = client.get("/v2/models/digits").json()
    assert model["inputs"] == [{"name": "pixels", "datatype": "UINT8", "shape": [-1, 28, 28]}]
    (number,) = model["versions"]
    assert client.get(f"/v2/models/digits/versions/{number}/ready").status_code == 200
    assert client.get("/v2/models/digits/versions/99").status_code == 404
    assert client.get("/v2/models/other/ready").status_code == 404
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").status_code == 200
    assert "binary_tensor_data" in client.get("/v2").json()["extensions"]


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_tritons_own_client_gets_right_answers(client, images, shares, binary):
    triton = pytest.importorskip("tritonclient.http")
    with triton.InferenceServerClient(client.url.removeprefix("http://")) as server:
        assert server.is_server_live() and server.is_server_ready()
        assert server.is_model_ready("digits")
        assert server.get_model_metadata("digits")["name"] == "digits"
        given = triton.InferInput("pixels", list(images.shape), "UINT8")
        given.set_data_from_numpy(images, binary_data=binary)
        wanted = [
            triton.InferRequestedOutput(name, binary_data=binary)
            for name in ("probabilities", "digit")
        ]
        result = server.infer("digits", [given], outputs=wanted, request_id="7")
        assert result.get_response()["id"] == "7"
        assert (result.as_numpy("digit") == shares.argmax(1)).all()
        assert np.allclose(result.as_numpy("probabilities"), shares, atol=1e-6)
        default = server.infer("digits", [given])
        assert np.allclose(default.as_numpy("probabilities"), shares, atol=1e-6)
