"""`task=serve`: answer over HTTP, in the foreground."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from digits.contract.files import write_atomically
from digits.deployment.service import SCREEN, command, prepare
from digits.errors import ConfigError, Finding
from digits.registry.versions import RegisteredName
from digits.tasks.service import Wanted, next_commands, rows, same, text
from digits.tracking.record import Record
from digits.tracking.store import Tracking
from serving.listening import address_of, listen
from serving.settings import Settings

FOLDER = "service"


def serve(
    record: Record,
    *,
    version: str | int,
    serving: Callable[..., Settings],
    tracking: Tracking,
    cache: str,
    registered_name: RegisteredName = "digits",
    watch_seconds: Annotated[float, Field(gt=0, le=1e6)] = 5.0,
) -> None:
    """Find the model, then become the service: this process is replaced by one without MLflow.

    Args:
        record: the job's folder and configuration.
        version: alias, number, run id, run folder or bundle folder; an alias is followed.
        serving: makes the settings from pointer and deployment.
        tracking: where the models are registered.
        cache: folder that bundles are fetched to.
        registered_name: the registered model.
        watch_seconds: between two looks at the registry.

    Raises:
        ConfigError: the address cannot be had, or it is one of several jobs.
        RegistryError: there is no such model, or it cannot be trusted.
        TrackingError: the registry does not answer.
    """
    if record.job is not None:
        raise ConfigError([Finding("task", "serve is one process that stays: type it without -m")])
    wanted = Wanted(
        version=str(version),
        serving=serving,
        tracking=tracking,
        cache=Path(cache),
        name=registered_name,
        watch_seconds=watch_seconds,
        same=same(record),
    )
    folder = record.folder / FOLDER
    settings = wanted.settings(folder, "serve")
    with listen(settings.host, settings.port) as listener:  # the address first: it costs nothing
        watch = wanted.watch(settings)
        pointer = wanted.found(watch)
        prepare(folder, settings, watch, pointer)
        address = address_of(listener)
        told = text(rows(settings, pointer, address), next_commands(pointer, address, wanted))
        write_atomically(folder / SCREEN, told)
        listener.set_inheritable(True)
        sys.stdout.flush()
        sys.stderr.flush()
        program = command(folder, listener)
        os.execv(program[0], program)
