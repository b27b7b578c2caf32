"""``/v1/explain``: where the model looked, and which training digits are most like the image."""

from __future__ import annotations

import base64
from typing import Any, get_args

from serving.bodies import Asked, parse_json, read_json, read_octets
from serving.call import Answer, Call, json_answer
from serving.errors import RequestError
from serving.explanations import Method
from serving.model import ServedModel
from serving.pictures import read_picture
from serving.predict import Predictor
from serving.threads import Threads

ROUTE = "/v1/explain"
FIELDS = ("method", "target", "nearest")
METHODS = get_args(Method)
MOST_NEAREST = 10
DIGITS = frozenset(map(str, range(MOST_NEAREST + 1)))


class Explain:
    """Explains one image at a time; nothing of it is kept."""

    def __init__(self, predictor: Predictor, threads: Threads) -> None:
        self._predictor = predictor
        self._threads = threads

    async def __call__(self, call: Call) -> Answer:
        """Serve ``POST /v1/explain``."""
        model = self._predictor.models.champion
        return json_answer(await self._threads.run(lambda: self._explain(call, model)))

    def _explain(self, call: Call, model: ServedModel) -> dict[str, Any]:
        asked = self._read(call, model)
        if len(asked.images) != 1:
            raise RequestError(422, "too_many", "one image at a time can be explained")
        method, target, nearest = _options(asked.rest)
        image = asked.images[0]
        answers = model.predict(asked.images)
        digit = int(answers.probabilities[0].argmax())
        if target is None:
            target = digit
        explanation = model.explain(image, method, target)
        return {
            "digit": digit,
            "target": target,
            "method": method,
            "probabilities": answers.probabilities[0],
            "is_digit": None if answers.is_digit is None else bool(answers.is_digit[0]),
            "attribution": explanation.attribution,
            "completeness_gap": explanation.completeness_gap,
            "pixels": _text(image.tobytes()),
            "nearest": [
                {
                    "label": each.label,
                    "distance": each.distance,
                    "pixels": _text(each.image.tobytes()),
                }
                for each in model.nearest(image, nearest)
            ],
            "version": model.version,
        }

    def _read(self, call: Call, model: ServedModel) -> Asked:
        limits, kind = self._predictor.limits, call.content_type
        if kind in ("application/json", ""):
            call.parameters()  # none: they are fields of the body
            return read_json(parse_json(call.body), limits, model.preprocess, known=FIELDS)
        options: dict[str, Any] = dict(call.parameters(*FIELDS))
        if kind == "application/octet-stream":
            return Asked(read_octets(call.body, limits.batch), False, None, options)
        if kind.startswith("image/"):
            return Asked(read_picture(call.body, limits, model.preprocess), False, None, options)
        raise RequestError(415, "unknown_type", f"send JSON, an image or octets, not {kind[:100]}")


def _options(given: dict[str, Any]) -> tuple[Method, int | None, int]:
    method = given.get("method", METHODS[0])
    if method not in METHODS:
        raise RequestError(422, "bad_method", f"method must be one of {', '.join(METHODS)}")
    target = given.get("target")
    return (
        method,
        None if target is None else _whole("target", target, 9),
        _whole("nearest", given.get("nearest", 0), MOST_NEAREST),
    )


def _whole(name: str, value: Any, most: int) -> int:
    if isinstance(value, str) and value in DIGITS:  # a query has texts only
        value = int(value)
    if type(value) is not int or not 0 <= value <= most:
        raise RequestError(422, f"bad_{name}", f"{name} must be a whole number in 0..{most}")
    return value


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
