"""The FastAPI application: every route and its documentation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from serving import drift_api, labelling_api, open_inference, pages, sagemaker, samples_api, schemas
from serving.call import Answer, Call, Endpoint, error_answer, json_answer
from serving.drift import Drift
from serving.errors import BROKEN, RequestError
from serving.labelling import Labelling
from serving.samples import Samples

FAULTS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": schemas.Fault, "description": "Something is wrong with the request."},
    "5XX": {"model": schemas.Fault, "description": "The service cannot answer now."},
}
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
SUMMARY = "Reads handwritten digits."


@dataclass(frozen=True)
class Parts:
    """What the routes call.

    Attributes:
        predict, explain, infer, invocations: endpoints of their own.
        feedback: keeps a correction: id of the prediction, label, who says so.
        labelling: what the labelling page asks and says.
        drift: what was found in served traffic.
        samples: looks up what is known of a sample.
        model: describes the model in use.
        version: of the model in use; raises RequestError where there is none yet.
        metrics: everything that is counted, for Prometheus.
    """

    predict: Endpoint
    explain: Endpoint
    infer: Endpoint
    invocations: Endpoint
    feedback: Callable[[str, int, str], Awaitable[None]]
    labelling: Labelling
    drift: Drift
    samples: Samples
    model: Callable[[], Mapping[str, Any]]
    version: Callable[[], str]
    metrics: Callable[[], bytes]

    def hot(self) -> dict[str, Endpoint]:
        """Return the routes that are worth answering without a framework."""
        return {
            "/v1/predict": self.predict,
            open_inference.ROUTE: self.infer,
            sagemaker.ROUTE: self.invocations,
        }


def build(
    parts: Parts, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]
) -> FastAPI:
    """Build the application; complete without the door in front of it, but for its limits."""
    api = FastAPI(
        title="Digits",
        summary=SUMMARY,
        version=version("digits"),
        lifespan=lifespan,
        docs_url=None,  # its pages fetch their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # to whatever host the client named
    )
    _add_errors(api)
    _add_v1(api, parts)
    labelling_api.add(api, parts.labelling)
    drift_api.add(api, parts.drift)
    samples_api.add(api, parts.samples)
    _add_health(api, parts)
    _add_open_inference(api, parts)
    pages.add(api)
    return api


def _adapt(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def handler(request: Request) -> Response:
        call = Call(
            request.url.path,
            request.scope["query_string"],
            dict(request.scope["headers"]),
            await request.body(),
            request.scope.get("digits.request_id", ""),
        )
        return _response(await endpoint(call))

    return handler


def _response(answer: Answer) -> Response:
    response = Response(answer.body, answer.status, media_type=answer.content_type.decode())
    for name, value in answer.headers:
        response.headers[name.decode()] = value.decode()
    return response


def _add_errors(api: FastAPI) -> None:
    """Give every error of the framework the one shape that ours have."""

    def respond(request: Request, error: RequestError) -> Response:
        return _response(error_answer(error, request.scope.get("digits.request_id", "")))

    @api.exception_handler(RequestError)
    async def ours(request: Request, error: RequestError) -> Response:
        return respond(request, error)

    @api.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        return respond(request, RequestError(500, "internal", BROKEN))

    @api.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
        return respond(
            request, RequestError(error.status_code, code, str(error.detail), error.headers)
        )

    @api.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
        return respond(request, RequestError(422, "bad_field", f"{place}: {first['msg']}"))


def _add_v1(api: FastAPI, parts: Parts) -> None:
    predicts: dict[int | str, dict[str, Any]] = {
        200: {"model": schemas.Prediction | schemas.Predictions}
    }
    explains: dict[int | str, dict[str, Any]] = {200: {"model": schemas.Explanation}}
    query = [_query("pixels", "boolean"), _query("store", "boolean")]
    api.add_api_route(
        "/v1/predict",
        _adapt(parts.predict),
        methods=["POST"],
        summary="Read one image or many",
        responses=predicts | FAULTS,
        openapi_extra={"requestBody": schemas.PREDICT_BODY, "parameters": query},
    )
    options = [
        _query("method", "string"),
        _query("target", "integer"),
        _query("nearest", "integer"),
    ]
    api.add_api_route(
        "/v1/explain",
        _adapt(parts.explain),
        methods=["POST"],
        summary="Show where the model looked",
        responses=explains | FAULTS,
        openapi_extra={"requestBody": schemas.EXPLAIN_BODY, "parameters": options},
    )

    @api.post("/v1/feedback", summary="Say what an image really is", responses=FAULTS)
    async def feedback(request: Request, correction: schemas.Feedback) -> schemas.Stored:
        from_page = request.headers.get("sec-fetch-site") == "same-origin"
        origin = "page" if from_page else "api"
        await parts.feedback(correction.id, correction.label, origin)
        return schemas.Stored(id=correction.id)

    @api.get("/v1/model", summary="Describe the model in use", responses=FAULTS)
    async def model() -> Response:
        return _response(json_answer(parts.model()))

    api.add_api_route(
        sagemaker.ROUTE,
        _adapt(parts.invocations),
        methods=["POST"],
        summary="The same for Amazon SageMaker; also CSV",
        responses=predicts | FAULTS,
        openapi_extra={"requestBody": schemas.PREDICT_BODY},
    )


def _query(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": {"type": kind}}


def _add_health(api: FastAPI, parts: Parts) -> None:
    @api.get("/healthz", summary="The process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @api.get("/readyz", summary="A model answers as it should", responses=FAULTS)
    async def readyz() -> dict[str, str]:
        return {"status": "ready", "version": parts.version()}

    @api.get("/ping", summary="The same for Amazon SageMaker", responses=FAULTS)
    async def ping() -> dict[str, str]:
        return {"version": parts.version()}

    @api.get("/metrics", summary="Counters for Prometheus", response_class=Response)
    def metrics() -> Response:
        return Response(parts.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_open_inference(api: FastAPI, parts: Parts) -> None:
    @api.get("/v2", summary="Open Inference Protocol: the server")
    async def server() -> dict[str, Any]:
        return open_inference.server_metadata(version("digits"))

    @api.get("/v2/health/live", summary="Open Inference Protocol: lives")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @api.get("/v2/health/ready", summary="Open Inference Protocol: ready", responses=FAULTS)
    async def ready() -> dict[str, bool]:
        parts.version()
        return {"ready": True}

    def found(name: str, number: str | None = None) -> str:
        serving = parts.version()
        if name != open_inference.MODEL or number not in (None, open_inference.number(serving)):
            asked = f"{name}, version {number}" if number else name
            raise RequestError(404, "unknown_model", f"{asked} is not served here")
        return serving

    for base in ("/v2/models/{name}", "/v2/models/{name}/versions/{number}"):

        @api.get(base, summary="Open Inference Protocol: the model", responses=FAULTS)
        async def model(name: str, number: str | None = None) -> dict[str, Any]:
            return open_inference.model_metadata(found(name, number))

        @api.get(f"{base}/ready", summary="Open Inference Protocol: ready", responses=FAULTS)
        async def model_ready(name: str, number: str | None = None) -> dict[str, Any]:
            return {"name": name, "ready": bool(found(name, number))}

        @api.post(f"{base}/infer", summary="Open Inference Protocol: answer", responses=FAULTS)
        async def infer(request: Request, name: str, number: str | None = None) -> Response:
            found(name, number)
            return await _adapt(parts.infer)(request)
