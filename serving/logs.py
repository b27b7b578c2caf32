"""Logs as JSON, one object a line; a request is told by its id, never by its pixels."""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from serving.call import Scope
from serving.errors import RequestError

log = logging.getLogger("serving")

FIELDS = "digits_fields"
MOST_CHARACTERS = 500  # of a reason: it may say again what the client has sent


class JsonFormatter(logging.Formatter):
    """Writes time, level, logger and message, what else was given, and a stack trace if any."""

    def format(self, record: logging.LogRecord) -> str:
        """See :class:`logging.Formatter`."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["trace"] = "".join(traceback.format_exception(record.exc_info[1]))
        return orjson.dumps(line, default=str).decode()


def to_stderr(level: str) -> None:
    """Have every logger of the process write JSON to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level.upper())


def event(message: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log something that happened, with fields of its own."""
    log.log(level, message, extra={FIELDS: fields})


class Journal:
    """Writes a line for each request that it is told to.

    Args:
        requests: those that failed, all, or none; what the service is to blame for always.
    """

    def __init__(self, requests: Literal["errors", "all", "none"]) -> None:
        self._all = requests == "all"
        self._errors = requests != "none"

    def request(
        self,
        scope: Scope,
        route: str,
        status: int,
        seconds: float,
        request_id: str,
        error: BaseException | None,
    ) -> None:
        """Take note of a finished request; ``error`` is why it failed."""
        if status < 400 and not self._all:
            return
        fault = error is not None and not isinstance(error, RequestError)
        if not (fault or self._all or (self._errors and status >= 400)):
            return
        fields: dict[str, Any] = {
            "request_id": request_id,
            "method": scope["method"],
            "route": route,
            "status": status,
            "ms": round(1000 * seconds, 3),
            "client": (scope.get("client") or ("",))[0],
        }
        if isinstance(error, RequestError):
            fields |= {"code": error.code, "reason": error.message[:MOST_CHARACTERS]}
        log.log(
            logging.ERROR if fault or status >= 500 else logging.INFO,
            "request",
            extra={FIELDS: fields},
            exc_info=error if fault else None,
        )
