"""What every deployment target has to do; one call holds a target against all of it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from digits.contract.manifest import ONNX
from digits.deployment.target import Order, Target
from digits.errors import DeploymentError

DIGITS = 100
ONE = bytes(784)
#: body, content type, status, code: refused so by the service itself, whoever runs it
REFUSED: tuple[tuple[bytes, str, int, str], ...] = (
    (b"", "application/json", 400, "empty_body"),
    (b"{", "application/json", 400, "bad_json"),
    (b"[]", "application/json", 422, "bad_json"),
    (b'{"pixels": [1, 2]}', "application/json", 422, "bad_shape"),
    (b'{"pixels": %s}' % json.dumps([300] * 784).encode(), "application/json", 422, "bad_pixels"),
    (b'{"pixel": []}', "application/json", 422, "missing_field"),
    (bytes(783), "application/octet-stream", 422, "bad_shape"),
    (b"<svg/>", "image/png", 422, "bad_image"),
    (b"x", "text/plain", 415, "unknown_type"),
)


def digits() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return real scans, enlarged, uint8 ``[100, 28, 28]``."""
    small = np.rint(load_digits().images[:DIGITS] * (255 / 16)).astype(np.uint8)
    large = np.zeros((DIGITS, 28, 28), np.uint8)
    large[:, 2:26, 2:26] = small.repeat(3, axis=1).repeat(3, axis=2)
    return large


def check(
    target: Target, first: Order, second: Order, *, anew: Callable[[], Target] | None = None
) -> None:
    """Hold a target that nothing is deployed to against the interface.

    Args:
        target: is left with nothing deployed.
        first, second: of two networks that answer differently.
        anew: makes the target once more, as the next command does; ``target`` itself if not given.
    """
    target = _planned(target, first)
    target.apply(first)
    target = anew() if anew else target
    _answers(target, first)
    _refuses(target)
    again = target.apply(first)
    assert {each.change for each in again} == {"keep"}, again
    assert {each.change for each in target.plan(first)} == {"keep"}

    assert {"create", "change"} & {each.change for each in target.plan(second)}
    target.apply(second)
    target = anew() if anew else target
    _answers(target, second)
    target.rollback()
    target = anew() if anew else target
    _answers(target, first)

    assert {each.change for each in target.destroy()} == {"remove"}
    assert target.destroy() == []
    assert not target.folder.exists()
    for asked in (
        target.status,
        target.rollback,
        lambda: target.ask(ONE, "application/octet-stream"),
    ):
        with pytest.raises(DeploymentError):
            asked()


def _planned(target: Target, order: Order) -> Target:
    """Nothing is there, and a plan changes nothing of that."""
    for _ in range(2):
        assert {each.change for each in target.plan(order)} == {"create"}
    assert not target.folder.exists()
    with pytest.raises(DeploymentError):
        target.status()
    assert target.destroy() == []
    return target


def _answers(target: Target, order: Order) -> None:
    version = order.model.version
    assert target.status().version == version
    images = digits()
    expected = _expected(order.model.folder, images)
    for image, probabilities in zip(images, expected, strict=True):
        reply = target.ask(image.tobytes(), "application/octet-stream")
        assert reply.status == 200, reply
        assert reply.content["version"] == version
        assert reply.content["digit"] == probabilities.argmax()
        np.testing.assert_allclose(reply.content["probabilities"], probabilities, atol=2e-5)
    # The other ways of asking for the same digit.
    picture = io.BytesIO()
    Image.fromarray(255 - images[0]).save(picture, "PNG")
    many = {"images": [base64.b64encode(picture.getvalue()).decode()] * 2}
    of_list = target.ask(json.dumps({"pixels": images[0].tolist()}).encode(), "application/json")
    assert of_list.content["digit"] == expected[0].argmax()
    of_picture = target.ask(picture.getvalue(), "image/png").content
    of_many = target.ask(json.dumps(many).encode(), "application/json").content["predictions"]
    assert [each["probabilities"] for each in of_many] == [of_picture["probabilities"]] * 2


def _refuses(target: Target) -> None:
    for body, kind, status, code in REFUSED:
        reply = target.ask(body, kind)
        assert (reply.status, reply.content.get("code")) == (status, code), (body[:20], reply)
        assert reply.content["error"]
    assert target.ask(ONE, "application/octet-stream").status == 200


def _expected(bundle: Path, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    session = onnxruntime.InferenceSession(bundle / ONNX, providers=["CPUExecutionProvider"])
    logits = session.run(None, {"pixels": images})[0]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: np.ndarray[Any, Any] = powers / powers.sum(axis=1, keepdims=True)
    return found
