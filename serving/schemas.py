"""The API's forms as OpenAPI shows them; what is sent is held to them by the tests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Digit = Annotated[int, Field(ge=0, le=9, description="a digit")]
Share = Annotated[float, Field(ge=0, le=1)]
Id = Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="of a prediction")]

SHARES: list[float] = [0.0, 0.0, 0.0, 0.001, 0.0, 0.0, 0.0, 0.998, 0.0, 0.001]
ANSWER: dict[str, Any] = {
    "id": "0193a1c4b0f27d3e8c5a9b1f00112233",
    "digit": 7,
    "confidence": 0.998,
    "probabilities": SHARES,
    "is_digit": True,
    "version": "digits/3",
    "stored": "queued",
}


class Prediction(BaseModel):
    """What the model says of one image."""

    model_config = ConfigDict(json_schema_extra={"examples": [ANSWER]})

    id: Id
    digit: Digit
    confidence: Annotated[Share, Field(description="the largest of the probabilities")]
    probabilities: Annotated[
        list[Share], Field(min_length=10, max_length=10, description="of 0 to 9, calibrated")
    ]
    is_digit: Annotated[
        bool | None,
        Field(description="whether this is a digit at all; null where the model cannot tell"),
    ]
    version: Annotated[str, Field(description="of the model that answered")]
    stored: Annotated[
        Literal["queued", "dropped", "off"],
        Field(description="queued: kept within the flush time; dropped: the queue was full"),
    ]
    pixels: Annotated[
        str | None, Field(description="what the model saw: 784 bytes in base64, with pixels=true")
    ] = None


class Predictions(BaseModel):
    """What the model says of several images, in their order."""

    predictions: list[Prediction]
    version: str


class Neighbour(BaseModel):
    """A training digit that is like the image to the model."""

    label: Digit
    distance: float
    pixels: str


class Explanation(BaseModel):
    """Where the model looked."""

    digit: Digit
    target: Annotated[Digit, Field(description="the class that is explained")]
    method: Literal["saliency", "integrated_gradients", "occlusion"]
    probabilities: list[Share]
    is_digit: bool | None
    attribution: Annotated[
        list[list[float]], Field(description="28 rows of 28: positive speaks for the target")
    ]
    completeness_gap: Annotated[
        float | None, Field(description="how far the sum of the attribution is off, in logits")
    ]
    pixels: str
    nearest: list[Neighbour]
    version: str


class Feedback(BaseModel):
    """A correction: what the image of a prediction really is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Id
    label: Digit


class Stored(BaseModel):
    """A correction is on disk."""

    id: Id
    stored: Literal[True] = True


class Fault(BaseModel):
    """What every error looks like."""

    error: Annotated[str, Field(description="what is wrong, for a person")]
    code: Annotated[str, Field(description="the same for a program")]
    request_id: str


PIXELS: dict[str, Any] = {
    "description": "28x28 or 784 numbers, or a list of such images; ink is high; in 0..1 if none "
    "exceeds 1, else in 0..255",
    "type": "array",
    "items": {},
    "minItems": 1,
}
PICTURE = {"type": "string", "description": "a PNG, JPEG, WebP or BMP file in base64"}
KEY = {"type": "string", "minLength": 1, "maxLength": 128, "description": "the client's own"}
BINARY = {"schema": {"type": "string", "format": "binary"}}
STROKE = (
    [[0] * 28 for _ in range(4)]
    + [[255 if column in (13, 14) else 0 for column in range(28)] for _ in range(20)]
    + [[0] * 28 for _ in range(4)]
)


def _json(title: str, further: dict[str, Any], *, many: bool) -> dict[str, Any]:
    forms: dict[str, Any] = {"pixels": PIXELS, "image": PICTURE}
    if many:
        forms["images"] = {"type": "array", "items": PICTURE, "minItems": 1}
    return {
        "schema": {
            "title": title,
            "type": "object",
            "properties": {**forms, "key": KEY, **further},
            "oneOf": [{"required": [name]} for name in forms],
            "additionalProperties": False,
        },
        "examples": {"a stroke": {"value": {"pixels": STROKE}}},
    }


PREDICT_BODY = {
    "required": True,
    "content": {
        "application/json": _json("Images", {}, many=True),
        **{f"image/{kind}": BINARY for kind in ("png", "jpeg", "webp", "bmp")},
        "application/octet-stream": BINARY,
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}, "key": KEY},
                "required": ["file"],
            }
        },
    },
}
EXPLAIN_BODY = {
    "required": True,
    "content": {
        "application/json": _json(
            "An image to explain",
            {
                "method": {"enum": ["saliency", "integrated_gradients", "occlusion"]},
                "target": {"type": ["integer", "null"], "minimum": 0, "maximum": 9},
                "nearest": {"type": "integer", "minimum": 0, "maximum": 10},
            },
            many=False,
        ),
        **{f"image/{kind}": BINARY for kind in ("png", "jpeg", "webp", "bmp")},
        "application/octet-stream": BINARY,
    },
}
