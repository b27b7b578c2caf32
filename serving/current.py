"""The models in use: the champion, perhaps a challenger; swapped between two requests."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from digits.contract.manifest import MANIFEST, ONNX, sha256_of
from digits.contract.pointer import Pointed, Pointer
from digits.errors import RegistryError
from serving.challenger import Comparison
from serving.model import ServedModel, loaded
from serving.settings import Settings

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5  # between two looks at the pointer
AGAIN_SECONDS = 10.0  # until a refused bundle is tried again: it may have been fetched anew
NEVER = float("inf")


class Current:
    """What answers now.

    A request takes its model from :meth:`choose` once and keeps it: a swap changes what the next
    one is given. Loading, checking and trying out go on in a thread of their own.

    Args:
        settings: ``pointer`` is followed where it is a file; a bundle folder is served as it is.

    Attributes:
        comparison: of champion and challenger.
        swapped: how often other models were put in.
        refused: models that were not let in, here or by the watcher.
    """

    def __init__(self, settings: Settings) -> None:
        self.comparison = Comparison(settings.challenger)
        self.swapped = self.refused = 0
        self._mode = settings.challenger.mode
        self._pointer = settings.pointer
        self._threads = settings.threads
        self._models: tuple[ServedModel, ServedModel | None] | None = None
        self._seen: tuple[int, int, int] | None = None
        self._again_at = NEVER
        self._refusals: set[tuple[str, str]] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Load what is pointed to, then follow the pointer.

        Raises:
            RegistryError: there is nothing there, or what is there cannot be trusted.
        """
        if self._pointer.is_dir():
            self._models = (loaded(self._pointer, threads=self._threads), None)
            return
        self._seen = _stamp(self._pointer)
        pointer = Pointer.read(self._pointer)
        self._models = (self._pointed(pointer.champion), None)
        self._take(pointer)
        self.comparison.start()
        self._thread = threading.Thread(target=self._follow, daemon=True, name="current")
        self._thread.start()

    def stop(self) -> None:
        """Follow no longer; the models go on answering."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.comparison.stop()

    @property
    def champion(self) -> ServedModel:
        """The model that answers."""
        assert self._models is not None, "start() comes first"
        return self._models[0]

    @property
    def challenger(self) -> ServedModel | None:
        """The model that is compared with it, if there is one."""
        assert self._models is not None, "start() comes first"
        return self._models[1]

    def choose(self, key: str | None) -> tuple[ServedModel, ServedModel | None]:
        """Return who answers a request, and who answers it too, unseen (``comparison.put``).

        Args:
            key: of the client, else the id of the request: the same key meets the same models, in
                every worker. None: the champion alone.
        """
        assert self._models is not None, "start() comes first"
        champion, challenger = self._models
        if challenger is None or key is None or not self.comparison.takes(key):
            return champion, None
        return (challenger, champion) if self._mode == "canary" else (champion, challenger)

    def look(self) -> None:
        """Look at the pointer once; load and put in what is new there."""
        stamp = _stamp(self._pointer)
        if stamp == self._seen and time.monotonic() < self._again_at:
            return
        self._seen, self._again_at = stamp, NEVER
        try:
            pointer = Pointer.read(self._pointer)
        except RegistryError as error:
            self._refuse(str(self._pointer), str(error))
        else:
            self._take(pointer)

    def _follow(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                self.look()
            except Exception:
                # Whatever it is, the next pointer is looked at all the same.
                log.exception("The pointer %s cannot be followed now", self._pointer)

    def _take(self, pointer: Pointer) -> None:
        """Load what differs from what is in use, and put both in at once."""
        if pointer.refused is not None:
            when = pointer.refused.time.isoformat(timespec="milliseconds")
            self._refuse(pointer.refused.version, f"{pointer.refused.reason} ({when})")
        present = self.champion, self.challenger
        champion = self._renewed(present[0], pointer.champion) or present[0]
        challenger = None
        if self._mode != "off" and pointer.challenger is not None:
            challenger = self._renewed(present[1], pointer.challenger) or present[1]
        if (champion, challenger) == present:
            return
        self._models = (champion, challenger)
        self.swapped += 1
        second = f", compared with {challenger.version}" if challenger else ""
        log.info("Answers come from %s%s; before: %s", champion.version, second, present[0].version)

    def _renewed(self, present: ServedModel | None, wanted: Pointed) -> ServedModel | None:
        """Return the wanted model, loaded unless it is the present one; None if it is refused."""
        named = (wanted.version, wanted.onnx_sha256)
        if present is not None and (present.version, present.manifest.files[ONNX]) == named:
            return present
        try:
            return self._pointed(wanted)
        except RegistryError as error:
            self._again_at = time.monotonic() + AGAIN_SECONDS
            self._refuse(wanted.version, str(error))
            return None

    def _pointed(self, wanted: Pointed) -> ServedModel:
        model = loaded(wanted.folder, version=wanted.version, threads=self._threads)
        found = model.manifest.files[ONNX]
        if found != wanted.onnx_sha256:
            raise RegistryError(
                f"{wanted.folder}: its {ONNX} has sha256 {found}, but {wanted.onnx_sha256} was "
                f"registered"
            )
        if wanted.manifest_sha256 not in (None, sha256_of(wanted.folder / MANIFEST)):
            raise RegistryError(f"{wanted.folder}: its {MANIFEST} is not what was registered")
        return model

    def _refuse(self, version: str, reason: str) -> None:
        """Log and count a refusal once, however often it is met; the log has it first."""
        if (version, reason) in self._refusals:
            return
        self._refusals.add((version, reason))
        still = self.champion.version
        log.error("Refused %s: %s. Answers still come from %s", version, reason, still)
        self.refused += 1


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """Return what changes when the file is replaced; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
