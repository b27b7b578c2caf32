"""Answered by a function as by the service: the same answers, the same refusals, no server."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys

import numpy as np
import pytest
import requests
from PIL import Image

from digits.errors import RegistryError
from serving.call import Call
from serving.settings import Limits
from serving.single import ROUTE, Single

DIGIT = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
JSON = "application/json"


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def form(name: str) -> tuple[bytes, str]:
    files = {name: ("a.png", png(DIGIT), "image/png")}
    made = requests.Request("POST", "http://nobody", files=files, data={"key": "k"}).prepare()
    return made.body, made.headers["content-type"]


def text(content: object) -> bytes:
    return json.dumps(content).encode()


IN_BASE64 = base64.b64encode(png(DIGIT)).decode()
BODIES = {
    "28x28": (text({"pixels": DIGIT.tolist()}), JSON),
    "784 shares": (text({"pixels": (DIGIT.ravel() / 255).tolist(), "key": "a"}), JSON),
    "two": (text({"pixels": [DIGIT.tolist(), DIGIT.T.tolist()]}), JSON),
    "picture in JSON": (text({"image": IN_BASE64}), JSON),
    "pictures in JSON": (text({"images": [IN_BASE64] * 2}), JSON),
    "bytes": (DIGIT.tobytes(), "application/octet-stream"),
    "many bytes": (DIGIT.tobytes() * 40, "application/octet-stream"),
    "png": (png(DIGIT), "image/png"),
    "larger png": (png(np.kron(DIGIT, np.ones((20, 20), np.uint8))), "image/png"),
    "form": form("file"),
    "no type": (text({"pixels": DIGIT.tolist()}), ""),
    "empty": (b"", JSON),
    "no JSON": (b"{", JSON),
    "list": (b"[]", JSON),
    "nothing asked": (b"{}", JSON),
    "unknown field": (text({"pixels": DIGIT.tolist(), "colour": 1}), JSON),
    "bad shape": (text({"pixels": [1, 2]}), JSON),
    "bad levels": (text({"pixels": [999] * 784}), JSON),
    "bad base64": (text({"image": "%"}), JSON),
    "bad key": (text({"pixels": DIGIT.tolist(), "key": ""}), JSON),
    "no picture": (b"GIF89a", "image/gif"),
    "no picture at all": (b"", "image/png"),
    "half a picture": (png(DIGIT)[:100], "image/png"),
    "half an image": (DIGIT.tobytes()[:700], "application/octet-stream"),
    "too many": (DIGIT.tobytes() * 1025, "application/octet-stream"),
    "too large": (b" " * (Limits().body_bytes + 1), JSON),
    "unknown type": (b"7", "text/plain"),
    "form without file": form("other"),
    "no form": (b"--x", "multipart/form-data"),
}


@pytest.fixture(scope="module")
def single(bundle):
    return Single(bundle)


def ask(single: Single, body: bytes, kind: str, query: bytes = b"", **headers: str):
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    if kind:
        named[b"content-type"] = kind.encode()
    answer = single(Call(ROUTE, query, named, body, "a-call"))
    return answer.status, json.loads(answer.body)


def plain(content):
    """What does not differ from one answer to the next."""
    if "predictions" in content:
        content["predictions"] = [plain(each) for each in content["predictions"]]
    return {name: each for name, each in content.items() if name not in ("id", "request_id")}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_answered_as_by_the_service(client, single, name):
    body, kind = BODIES[name]
    served = client.post(f"{ROUTE}?pixels=true", body, kind)
    status, content = ask(single, body, kind, b"pixels=true")
    assert (status, plain(content)) == (served.status_code, plain(served.json()))


@pytest.mark.parametrize(
    "query", [b"pixels=2", b"size=3", b"store=perhaps", b"store=true&store=true", b"store=%ff"]
)
def test_a_query_is_refused_as_by_the_service(client, single, query):
    body, kind = BODIES["bytes"]
    served = client.post(f"{ROUTE}?{query.decode()}", body, kind)
    status, content = ask(single, body, kind, query)
    assert status in (400, 422)
    assert (status, plain(content)) == (served.status_code, plain(served.json()))


def test_a_compressed_body_is_refused(single):
    status, content = ask(single, b"x", JSON, content_encoding="gzip")
    assert (status, content["code"], content["request_id"]) == (415, "compressed", "a-call")


def test_answers_name_the_version(bundle):
    body, kind = BODIES["bytes"]
    assert ask(Single(bundle, version="digits/3"), body, kind)[1]["version"] == "digits/3"


def test_what_breaks_is_an_answer_too(bundle, monkeypatch, caplog):
    single = Single(bundle)
    monkeypatch.setattr(single.model, "predict", lambda images: 1 / 0)
    status, content = ask(single, *BODIES["bytes"])
    assert (status, content["code"]) == (500, "internal")
    assert "ZeroDivisionError" in caplog.text


def test_a_damaged_bundle_does_not_start(make, tmp_path):
    make(tmp_path / "bundle")
    with (tmp_path / "bundle" / "model.onnx").open("ab") as file:
        file.write(b"more")
    with pytest.raises(RegistryError, match=r"model\.onnx"):
        Single(tmp_path / "bundle")


def test_neither_server_nor_framework_is_loaded(bundle):
    program = f"""
import sys
from pathlib import Path
from serving.call import Call
from serving.single import Single
headers = {{b"content-type": b"application/octet-stream"}}
answer = Single(Path({str(bundle)!r}))(Call("", b"", headers, bytes(784), ""))
assert answer.status == 200, answer.body
heavy = "asyncio starlette fastapi uvicorn sqlalchemy prometheus_client jinja2 torch mlflow".split()
sys.exit(" ".join(name for name in heavy if name in sys.modules) or None)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
