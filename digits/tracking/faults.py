"""What a store's libraries raise, as one TrackingError that names the key."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from digits.errors import TrackingError

CREDENTIALS = re.compile(r"(://[^:/@\s]*):[^/\s]*@")


def without_password(text: str) -> str:
    """Return the address, or a message with addresses in it, as it may be shown."""
    return CREDENTIALS.sub(r"\1:***@", text)


@contextmanager
def explained(uri: str, *, key: str = "tracking.uri") -> Iterator[None]:
    """Turn what the store's libraries raise inside into a TrackingError on one line."""
    try:
        yield
    except (
        MlflowException,
        SQLAlchemyError,
        sqlite3.Error,
        requests.RequestException,
        OSError,
        ImportError,  # the driver of a database
    ) as error:
        cause = _driver_error(error)
        lines = str(cause).strip().splitlines() or [type(cause).__name__]
        raise TrackingError(without_password(f"{key}: {uri} cannot be used: {lines[0]}")) from error


def _driver_error(error: BaseException) -> BaseException:
    """Return what the database itself said, within the several lines that others made of it."""
    link: BaseException | None = error
    while link is not None:
        original = getattr(link, "orig", None)
        if isinstance(original, BaseException):
            return original
        link = link.__cause__ or link.__context__
    return error
