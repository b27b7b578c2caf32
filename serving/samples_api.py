"""The route of all that is known of a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Path
from pydantic import BaseModel, Field

from digits.contract.label import NOT_A_DIGIT
from serving import schemas
from serving.samples import Samples

Sample = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9._/-]{1,200}$", description="id of a prediction, or a sample's")
]
FAULTS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": schemas.Fault, "description": "Nothing is known of it."},
    "5XX": {"model": schemas.Fault, "description": "What is known cannot be read now."},
}


class Answered(BaseModel):
    """What the model said."""

    time: Annotated[float, Field(description="in seconds since 1970 (UTC)")]
    digit: schemas.Digit
    confidence: schemas.Share
    probabilities: Annotated[list[float], Field(description="of 0 to 9, as they were kept")]
    is_digit: bool | None
    version: Annotated[str, Field(description="of the model that answered")]
    deployment: str
    suggestion: Annotated[schemas.Digit | None, Field(description="the newest correction of it")]


class Label(BaseModel):
    """The label that counts, given by labellers."""

    label: Annotated[int, Field(ge=NOT_A_DIGIT, le=9, description="-1: no digit at all")]
    labeller: str
    time: Annotated[float, Field(description="since when it counts, in seconds since 1970 (UTC)")]


class Known(BaseModel):
    """All that is known of a sample; null is what is not."""

    id: str
    prediction: Answered | None
    label: Label | None
    features: Annotated[
        dict[str, dict[str, Any]] | None,
        Field(description="by view of the feature store: shape, embedding, labels, predictions"),
    ]


def add(api: FastAPI, samples: Samples) -> None:
    """Add ``/v1/samples/{id}``."""

    @api.get(
        "/v1/samples/{sample:path}",
        summary="See all that is known of a sample",
        response_model=Known,
        responses=FAULTS,
    )
    async def sample(sample: Sample) -> Mapping[str, Any]:
        return await samples.find(sample)
