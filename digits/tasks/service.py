"""What `task=serve` and `task=deploy` share: what is served, and the screen that says it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from digits.contract.manifest import Manifest
from digits.contract.pointer import Pointer
from digits.deployment.resolve import Watch, resolve
from digits.deployment.supervisor import POINTER
from digits.tasks import commands
from digits.tasks.screens import screen
from digits.tracking.record import Record
from digits.tracking.store import Tracking
from serving.settings import Settings

SCANS = "uci"  # 8x8 scans: what is drawn looks otherwise


@dataclass(frozen=True)
class Wanted:
    """What is to be served, and where it comes from.

    Attributes:
        version: alias, number, run id, run folder or bundle folder.
        serving: makes the settings, once pointer and deployment are known.
        tracking: where the models are registered.
        cache: folder that bundles are fetched to.
        name: the registered model.
        watch_seconds: between two looks at the registry.
        same: overrides that name its store.
    """

    version: str
    serving: Callable[..., Settings]
    tracking: Tracking
    cache: Path
    name: str
    watch_seconds: float
    same: Sequence[str]

    def settings(self, folder: Path, kind: str) -> Settings:
        """Return the settings of a service in ``folder``, under an id of its own."""
        now = datetime.now(UTC)
        identity = f"{kind}-{now:%Y%m%d-%H%M%S}-{os.getpid():x}"
        return self.serving(pointer=folder.absolute() / POINTER, deployment=identity)

    def watch(self, settings: Settings) -> Watch:
        """Return what the watcher has to follow."""
        return Watch(
            pointer=settings.pointer,
            tracking_uri=self.tracking.uri,
            experiment=self.tracking.experiment,
            version=self.version,
            name=self.name,
            cache=self.cache.expanduser().absolute(),
            watch_seconds=self.watch_seconds,
            challenger=settings.challenger.mode != "off",
            judged=settings.challenger.mode == "canary",
        )

    def found(self, watch: Watch) -> Pointer:
        """Find, fetch and verify the bundles.

        Raises:
            RegistryError: there is none, or it cannot be trusted; says what makes one.
            TrackingError: the registry does not answer.
        """
        return resolve(
            self.tracking.client(),
            watch,
            train=commands.run(*self.same),
            promote=commands.run("task=promote", *self.same),
        )


def same(record: Record) -> list[str]:
    """Return the overrides that lead another task to the store of this one."""
    return commands.same(record, commands.FIRST_DATA)


def rows(settings: Settings, pointer: Pointer, address: str) -> list[tuple[str, str]]:
    """Return what a service is, as (name, value) pairs."""
    champion = pointer.champion
    manifest = Manifest.read(champion.folder)
    accuracy = manifest.metrics.get("test/accuracy")
    judged = f", {accuracy:.2%} right on its held-out digits" if accuracy is not None else ""
    called = f" ({champion.alias}; followed when it moves)" if champion.alias else ""
    found = [
        ("address", address),
        ("model", f"{champion.version}{called}"),
        ("learned from", f"{manifest.data_name} {manifest.data_digest[:12]}{judged}"),
    ]
    mode = settings.challenger.mode
    if mode != "off":
        second = pointer.challenger.version if pointer.challenger else "none yet"
        share = f"{settings.challenger.percent:g} % of the requests"
        found.append(("challenger", f"{second}, {mode}: {share}"))
    workers = "1 process" if settings.workers == 1 else f"{settings.workers} processes"
    return [*found, ("traffic", _kept(settings)), ("workers", workers)]


def _kept(settings: Settings) -> str:
    traffic = settings.traffic
    if traffic.url is None:
        return "not kept"
    from sqlalchemy.engine import make_url  # leaves out a password

    kept = "answers and images" if traffic.images else "answers without images"
    return f"{kept}, in {make_url(traffic.url).render_as_string()}"


def next_commands(
    pointer: Pointer, address: str, wanted: Wanted, *more: tuple[str, str]
) -> list[tuple[str, str]]:
    """Return what to type next, each with what it gives."""
    picture = f"curl --data-binary @digit.png -H 'Content-Type: image/png' {address}/v1/predict"
    found = [
        (f"{address}/", "the page: draw a digit"),
        (picture, "the answer for a picture of yours"),
        *more,
    ]
    if pointer.champion.alias:
        better = commands.run("task=promote", *wanted.same)
        found.append((better, "a better model takes over while this runs"))
    if Manifest.read(pointer.champion.folder).data_name == SCANS:
        train = commands.run("data=mnist", *wanted.same)
        found.append((train, "learn 70,000 handwritten digits: drawn ones are met better"))
    return found


def text(rows: Sequence[tuple[str, str]], next_commands: Sequence[tuple[str, str]]) -> str:
    """Return the screen as it is to be written to standard output."""
    is_terminal = sys.stdout.isatty()
    target = io.StringIO()
    width = screen.standard_output().width
    console = Console(file=target, width=width, force_terminal=is_terminal)
    screen.show(rows, next_commands, console=console)
    return target.getvalue()
