"""The route of the drift panel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query
from pydantic import BaseModel, Field

from serving import schemas
from serving.drift import Drift

Seconds = Annotated[float, Field(description="since 1970 (UTC)")]
MOST = 1000
FAULTS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": schemas.Fault, "description": "Nothing is kept here."},
    "5XX": {"model": schemas.Fault, "description": "The findings cannot be read now."},
}


class Finding(BaseModel):
    """What was found of one window of traffic; null is what cannot be told."""

    time: Annotated[Seconds, Field(description="when it was judged, in seconds since 1970")]
    version: Annotated[str, Field(description="of the model whose reference it was held against")]
    run_id: Annotated[str, Field(description="of the tracked run")]
    name: Annotated[str, Field(description="of the window, in words")]
    first: Annotated[Seconds | None, Field(description="time of its first image")]
    last: Annotated[Seconds | None, Field(description="time of its last image")]
    images: Annotated[int, Field(ge=0)]
    status: Literal["steady", "shifted", "harmful", "unknown"]
    chance: Annotated[schemas.Share | None, Field(description="of looking so if nothing changed")]
    loudest: Annotated[str | None, Field(description="the signal that is least likely by chance")]
    foreign_share: Annotated[schemas.Share | None, Field(description="unlike the reference")]
    before: Annotated[schemas.Share | None, Field(description="accuracy on the reference")]
    accuracy: Annotated[schemas.Share | None, Field(description="estimated")]
    low: Annotated[schemas.Share | None, Field(description="of its 95 % interval")]
    high: Annotated[schemas.Share | None, Field(description="of its 95 % interval")]
    labels: Annotated[int, Field(ge=0, description="that the estimate goes by")]


class Findings(BaseModel):
    """The last findings, the oldest of them first."""

    findings: list[Finding]


def add(api: FastAPI, drift: Drift) -> None:
    """Add ``/v1/drift``."""

    @api.get(
        "/v1/drift",
        summary="See what was found in served traffic",
        response_model=Findings,
        responses=FAULTS,
    )
    async def findings(last: Annotated[int, Query(ge=1, le=MOST)] = 100) -> Mapping[str, Any]:
        return {"findings": await drift.recent(last)}
