"""Follow the registry for the service: ``python -m digits.deployment.watcher <watch file>``.

A process of its own, so that the workers load no MLflow. It outlives a registry that does not
answer; what it cannot trust it does not hand over.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from digits.contract import leash, switches

switches.apply()

from mlflow import MlflowClient  # noqa: E402  (the switches precede every library)

from digits.contract.pointer import Pointed, Pointer, Refused  # noqa: E402
from digits.deployment.resolve import Watch, aliases_of, challenging, numbered, refused, resolve  # noqa: E402
from digits.errors import DigitsError, RegistryError  # noqa: E402
from digits.registry.versions import CHALLENGER  # noqa: E402
from digits.tracking.store import Tracking  # noqa: E402

log = logging.getLogger("digits.watcher")

LONGEST_SECONDS = 60.0  # between two looks while the registry does not answer
DOUBLINGS = 16  # of that wait; more would soon be no number
LONGEST_REFUSAL = 600.0  # between two fetches of a version that cannot be trusted


class Watcher:
    """Keeps the pointer at what the aliases say.

    Args:
        watch: what is asked for.
        pointer: as it stands in the file.
        client: of the registry; opened at the first look unless given.
    """

    def __init__(self, watch: Watch, pointer: Pointer, client: MlflowClient | None = None) -> None:
        self.watch = watch
        self.pointer = pointer
        self._client = client
        self._waits: dict[int, tuple[float, float]] = {}  # number -> not before, the wait after it
        self._refused: Refused | None = None
        self._is_lost = False

    @property
    def follows(self) -> bool:
        """Whether there is anything that can change."""
        return self.pointer.champion.alias is not None or self.watch.challenger

    def follow(self, sleep: Callable[[float], object] = time.sleep) -> None:
        """Look again and again, less often while the registry does not answer; never returns."""
        failures = 0
        while True:
            try:
                self.look()
            except Exception as error:
                # Neither a store nor a full disk may end it: the service goes on meanwhile.
                failures += 1
                wait = self.watch.watch_seconds * 2.0 ** min(failures, DOUBLINGS)
                wait = min(wait, LONGEST_SECONDS)
                log.warning("The registry cannot be followed: %s. Again in %.0f s.", error, wait)
                self._client = None
            else:
                if failures:
                    log.info("The registry answers again.")
                failures, wait = 0, self.watch.watch_seconds
            sleep(max(wait, self.watch.watch_seconds))

    def look(self) -> None:
        """Look at the aliases once; write the pointer anew if one has moved.

        Raises:
            TrackingError: the registry does not answer.
            OSError: the pointer cannot be written.
        """
        self._client = self._client or _client(self.watch)
        aliases = aliases_of(self._client, self.watch.name) or {}
        before, self._refused = self.pointer, None
        champion, challenger = before.champion, None
        if champion.alias is not None:
            number = aliases.get(champion.alias)
            self._say_if_lost(champion.alias, number)
            champion = self._moved(self._client, champion.alias, number, champion) or champion
        number = challenging(self._client, self.watch, aliases, champion.number)
        if number is not None:
            challenger = self._moved(self._client, CHALLENGER, number, before.challenger)
        is_same = (champion, challenger) == (before.champion, before.challenger)
        if is_same and self._refused is None:
            return
        pointer = Pointer(
            champion=champion,
            challenger=challenger,
            refused=self._refused or (before.refused if is_same else None),
        )
        pointer.write(self.watch.pointer)
        self.pointer = pointer
        second = f", compared with {challenger.version}" if challenger else ""
        log.info("Handed over: %s%s.", champion.version, second)

    def _moved(
        self, client: MlflowClient, alias: str, number: int | None, present: Pointed | None
    ) -> Pointed | None:
        """Return what has the alias now; the present one where that cannot be trusted."""
        if number is None:
            return None
        if present is not None and present.number == number:
            return present
        not_before, wait = self._waits.get(number, (0.0, self.watch.watch_seconds))
        if time.monotonic() < not_before:
            return present
        try:
            found = numbered(client, self.watch, number, alias=alias)
        except RegistryError as error:
            self._waits[number] = (time.monotonic() + wait, min(2 * wait, LONGEST_REFUSAL))
            self._refuse(refused(self.watch.name, number, error))
            return present
        self._waits.pop(number, None)
        return found

    def _refuse(self, refusal: Refused) -> None:
        """Say it once in the log and in the pointer, however often it is found."""
        known = self.pointer.refused
        if known is None or (known.version, known.reason) != (refusal.version, refusal.reason):
            log.error("Refused %s: %s", refusal.version, refusal.reason)
            self._refused = refusal

    def _say_if_lost(self, alias: str, number: int | None) -> None:
        if number is None and not self._is_lost:
            log.warning(
                "No version of %s is called %s any more: %s goes on.",
                self.watch.name, alias, self.pointer.champion.version,
            )  # fmt: skip
        self._is_lost = number is None


def main() -> int:
    """Write the pointer unless there is one, then follow an alias until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m digits.deployment.watcher")
    parser.add_argument("watch", type=Path, help="JSON: digits.deployment.resolve.Watch")
    parser.add_argument(leash.SWITCH, action="store_true", help="end when standard input ends")
    given = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    if given.supervised:
        leash.end_with_parent()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        watcher = begin(Watch.read(given.watch))
    except DigitsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    if watcher.follows:
        watcher.follow()
    return 0


def begin(watch: Watch) -> Watcher:
    """Return a watcher that goes on from the pointer; without one, what is asked for is found.

    Raises:
        RegistryError, TrackingError: there is no pointer yet, and see :func:`resolve`.
    """
    try:
        return Watcher(watch, Pointer.read(watch.pointer))
    except RegistryError:
        client = _client(watch)
        pointer = resolve(client, watch)
        pointer.write(watch.pointer)
        return Watcher(watch, pointer, client)


def _client(watch: Watch) -> MlflowClient:
    return Tracking(uri=watch.tracking_uri, experiment=watch.experiment).client()


if __name__ == "__main__":
    sys.exit(main())
