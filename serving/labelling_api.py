"""The routes and forms of the labelling page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from digits.contract.label import NAME, NOT_A_DIGIT
from serving import schemas
from serving.labelling import Labelling

Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$", description="of a labeller")]
Label = Annotated[int, Field(ge=NOT_A_DIGIT, le=9, description="a digit; -1: no digit at all")]
Number = Annotated[int, Field(ge=1, lt=2**53, description="of a sample")]
Count = Annotated[int, Field(ge=0)]
FAULTS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": schemas.Fault, "description": "Something is wrong with the request."},
    "5XX": {"model": schemas.Fault, "description": "The labels cannot be kept now."},
}


class Form(BaseModel):
    """Who asks."""

    model_config = ConfigDict(extra="forbid", strict=True)

    labeller: Name


class Skip(Form):
    """A labeller cannot tell."""

    number: Number


class Answer(Skip):
    """What a sample is."""

    label: Label


class Sample(BaseModel):
    """What is to be labelled."""

    number: Number
    pixels: Annotated[str, Field(description="784 bytes in base64")]
    probabilities: list[schemas.Share]
    digit: schemas.Digit
    confidence: schemas.Share
    suggestion: Annotated[Label | None, Field(description="what somebody has corrected it to")]
    version: Annotated[str, Field(description="of the model that reads it so")]


class Progress(BaseModel):
    """How far the queue is labelled."""

    queued: Count
    labelled: Count
    disputed: Annotated[Count, Field(description="labellers disagree, so that no label counts")]
    skipped: Annotated[Count, Field(description="somebody has skipped it, nobody has labelled it")]


class Desk(BaseModel):
    """What a labeller has before them."""

    sample: Annotated[Sample | None, Field(description="null: nothing is left for this labeller")]
    progress: Progress
    answered: Annotated[Count, Field(description="answers of this labeller that stand")]


class Labeller(BaseModel):
    """How far to trust somebody's labels."""

    name: Name
    labels: Count
    right: Annotated[Count, Field(description="controls that were labelled as they are known")]
    wrong: Annotated[Count, Field(description="controls that were labelled otherwise")]
    agreed: Annotated[Count, Field(description="labels of others on the same samples, the same")]
    compared: Annotated[Count, Field(description="labels of others on the same samples")]
    withdrawn: Annotated[Count, Field(description="labels that were taken back by somebody else")]
    doubtful: Annotated[bool, Field(description="too many controls are wrong to be slips")]


class Labellers(BaseModel):
    """Everybody who has ever answered."""

    labellers: list[Labeller]


def add(api: FastAPI, labelling: Labelling) -> None:
    """Add the routes below ``/v1/labelling``."""
    base = "/v1/labelling"

    @api.post(
        f"{base}/next", summary="Get a sample to label", response_model=Desk, responses=FAULTS
    )
    async def next_one(form: Form) -> Mapping[str, Any]:
        return await labelling.next(form.labeller)

    @api.post(f"{base}/label", summary="Label a sample", response_model=Desk, responses=FAULTS)
    async def label(form: Answer) -> Mapping[str, Any]:
        return await labelling.label(form.labeller, form.number, form.label)

    @api.post(
        f"{base}/skip", summary="Leave a sample to others", response_model=Desk, responses=FAULTS
    )
    async def skip(form: Skip) -> Mapping[str, Any]:
        return await labelling.skip(form.labeller, form.number)

    @api.post(
        f"{base}/undo", summary="Take back the last answer", response_model=Desk, responses=FAULTS
    )
    async def undo(form: Form) -> Mapping[str, Any]:
        return await labelling.undo(form.labeller)

    @api.get(
        f"{base}/labellers", summary="See who labels", response_model=Labellers, responses=FAULTS
    )
    async def labellers() -> Mapping[str, Any]:
        return {"labellers": await labelling.labellers()}
