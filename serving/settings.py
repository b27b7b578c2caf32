"""Every value of the service, with its type and range; ``conf/serving`` holds the same names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from digits.errors import ConfigError, Finding

SETTINGS = "DIGITS_SERVING_SETTINGS"  # names the settings file where nobody passes it on
KEYS = "DIGITS_API_KEYS"  # secrets, separated by commas: never in a file of ours

Share = Annotated[float, Field(ge=0, le=100)]
Positive = Annotated[float, Field(gt=0, le=1e8)]  # more seconds than a clock can wait for
Count = Annotated[int, Field(ge=1)]


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Batching(_Block):
    """Whether requests that come together are answered together.

    Attributes:
        max_batch: images of one batch; 1 is off.
        max_wait_ms: how long the first of a batch waits for others, in milliseconds; 0: only what
            has arrived together is answered together.
    """

    max_batch: Annotated[int, Field(ge=1, le=1024)] = 32
    max_wait_ms: Annotated[float, Field(ge=0, le=1000)] = 0.0


class Limits(_Block):
    """What one request, one client and all of them together may ask for.

    Attributes:
        body_bytes: largest body.
        image_pixels: largest height times width of a picture, looked at before it is decoded.
        batch: most images in one request.
        in_flight: requests at work at once in one worker; more are answered 503.
        connections: open at once in one worker; more are closed with 503.
        rate: requests a second of one client, on average; null: any number.
        burst: requests that a client may send at once before ``rate`` counts.
        request_seconds: time for the head to arrive, again for the body, and again for the answer
            to be worked out.
        drain_seconds: time that requests at work have to finish after SIGTERM.
    """

    body_bytes: Count = 4 * 1024 * 1024
    image_pixels: Count = 16_000_000
    batch: Annotated[int, Field(ge=1, le=65_536)] = 1024
    in_flight: Count = 256
    connections: Count = 1024
    rate: Positive | None = None
    burst: Count = 20
    request_seconds: Positive = 10.0
    drain_seconds: Positive = 20.0


class Traffic(_Block):
    """What is kept of the predictions that are given.

    Attributes:
        url: of the database, SQLite or PostgreSQL, without a password (libpq reads it from
            ``PGPASSWORD``); null keeps nothing.
        images: whether the pixels are kept too.
        queue: predictions that wait to be written; more are answered and not kept.
        flush_seconds: longest wait until they are written: the predictions of this time and of one
            commit are lost at ``kill -9``.
        max_days: older predictions are deleted; null keeps them.
        max_bytes: the oldest are deleted above this size; null: any size.
    """

    url: str | None = None
    images: bool = True
    queue: Count = 8192
    flush_seconds: Positive = 0.2
    max_days: Positive | None = 30.0
    max_bytes: Count | None = 1024**3

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            raise ValueError("write sqlite:///<path> or postgresql://<user>@<host>/<database>")
        if re.search("://[^/]*:[^/]*@", url):
            raise ValueError("leave the password out; the environment has it, as PGPASSWORD")
        return url


class Challenger(_Block):
    """What a second model does beside the champion.

    Attributes:
        mode: off; shadow: it answers a share of the requests too, unseen by the client; canary: it
            answers them instead, once the gate has let it pass (``task=promote action=judge``).
        percent: that share, by the request's key.
    """

    mode: Literal["off", "shadow", "canary"] = "off"
    percent: Share = 10.0


class Log(_Block):
    """What is written to standard error, one JSON object a line.

    Attributes:
        requests: which requests are logged: those that failed, all, or none.
        level: the least severe message that is written.
    """

    requests: Literal["errors", "all", "none"] = "errors"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(_Block):
    """All of it; a value is refused with the name of its key.

    Attributes:
        pointer: file that names the bundles to serve, written by the watcher (see
            :mod:`digits.contract.pointer`); or a bundle folder, served as it is.
        host, port: address that is listened at.
        workers: processes that answer.
        threads: of ONNX Runtime in each worker.
        features: address of ``task=features action=push follow=true``, which knows the features of
            samples; null: nobody does.
        otlp: address of an OpenTelemetry collector; null: no traces.
        deployment: id of the deployment, kept with every prediction.
    """

    pointer: Path
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"  # "" would be every interface
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    batching: Batching = Batching()
    limits: Limits = Limits()
    traffic: Traffic = Traffic()
    challenger: Challenger = Challenger()
    log: Log = Log()
    features: Annotated[str, Field(pattern=r"^http://[^/\s]+")] | None = None
    otlp: Annotated[str, Field(pattern=r"^https?://[^/\s]+")] | None = None
    deployment: str = "local"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Check plain values.

        Raises:
            ConfigError: with every value that is unknown, of another type or out of range.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            findings = [
                Finding(".".join(["serving", *map(str, each["loc"])]), each["msg"])
                for each in error.errors()
            ]
            raise ConfigError(findings) from error

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what :meth:`write` or a person has written to ``file``.

        Raises:
            ConfigError: there is no such file, it is no JSON, or a value is wrong.
        """
        try:
            return cls.model_validate_json(file.read_bytes())
        except OSError as error:
            raise ConfigError([Finding(str(file), error.strerror or str(error))]) from error
        except ValidationError as error:
            findings = [
                Finding(".".join(map(str, each["loc"])) or str(file), each["msg"])
                for each in error.errors()
            ]
            raise ConfigError(findings) from error

    @classmethod
    def named_by_environment(cls) -> Self:
        """Read the file that the environment names.

        Raises:
            ConfigError: it names none, or see :meth:`read`.
        """
        name = os.environ.get(SETTINGS)
        if not name:
            raise ConfigError([Finding(SETTINGS, "names no settings file for the service")])
        return cls.read(Path(name))


def api_keys(environment: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Return the keys that a client must show one of; empty: none is asked for."""
    return frozenset(key.strip() for key in environment.get(KEYS, "").split(",") if key.strip())
