"""One server and what belongs to it: started, given versions to answer from, removed."""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from digits.contract.pointer import Pointed
from digits.deployment.ledger import Ledger, Release
from digits.deployment.torchserve import process
from digits.deployment.torchserve.addresses import Addresses, choose
from digits.deployment.torchserve.archive import archive_name, model_version, write_archive
from digits.deployment.torchserve.command import SETTINGS, STORE, configure, java, seconds, together
from digits.deployment.torchserve.keeper import ANSWERED, LOG
from digits.deployment.torchserve.management import Management, ready
from digits.errors import DeploymentError
from serving.settings import Settings

log = logging.getLogger(__name__)

SERVER = ("server", "torchserve")  # in the ledger
ARCHIVE, FOLDER = "archive", "folder"  # the same of each
LOOK_SECONDS = 0.2
LAST_LINES = 12  # of the log, shown where the start failed


class Server:
    """A TorchServe of this machine.

    Args:
        folder: all that is kept of it; its ledger lists what was made.
        management_port: 0: any that is free.
        token_minutes: until a token expires.
        wait_seconds: for workers to come up.
    """

    def __init__(
        self, folder: Path, *, management_port: int, token_minutes: int, wait_seconds: float
    ) -> None:
        self.folder = folder
        self._management_port = management_port
        self._token_minutes = token_minutes
        self._wait = wait_seconds
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        # The path of a socket has to be short, and the folder's may be long.
        self._temporary = Path(tempfile.gettempdir()) / f"digits-torchserve-{name}"

    @property
    def addresses(self) -> Addresses:
        """Where it listens.

        Raises:
            DeploymentError: it was never started.
        """
        found = Ledger(self.folder).find(*SERVER)
        if found is None:
            raise DeploymentError(f"Nothing is deployed in {self.folder}: action=apply starts it")
        return Addresses.of(found.facts)

    @property
    def settings(self) -> Settings:
        """What its workers were started with.

        Raises:
            ConfigError: another version of this program has written it.
        """
        return Settings.read(self.folder / SETTINGS)

    def management(self, model: str) -> Management:
        """Return what speaks with it about a registered model."""
        at = self.addresses.reached
        return Management(
            self.folder,
            inference=at.inference,
            management=at.management,
            model=model,
            wait_seconds=self._wait,
        )

    def start(self, model: Pointed, settings: Settings) -> None:
        """Start it, in place of one that runs; a failure leaves nothing of a first start.

        Raises:
            ConfigError: an address cannot be had.
            DeploymentError: there is no Java, or the workers do not come up.
            MissingExtraError: TorchServe is not installed.
        """
        java()  # before anything is changed
        ledger = Ledger(self.folder)
        known = ledger.find(*SERVER)
        addresses = choose(
            settings.host,
            settings.port,
            self._management_port,
            Addresses.of(known.facts) if known and process.is_there(self.folder) else None,
        )
        process.stop(self.folder)
        try:
            self._make_room(ledger, addresses)
            self._archive(model)
            configure(self.folder, model, settings, addresses, self._token_minutes)
            (self.folder / ANSWERED).unlink(missing_ok=True)
            started = process.start(self.folder, settings, temporary=self._temporary)
            self._await(started, model, settings.workers)
            (self.folder / ANSWERED).touch()
        except BaseException as fault:
            process.stop(self.folder)
            told = self._last_lines()
            if Ledger(self.folder).current is None:
                self.remove()
            if isinstance(fault, DeploymentError):
                raise DeploymentError(f"{fault}\n{told}") from fault
            raise
        started.returncode = 0  # it goes on without us: no warning that it was not waited for

    def release(self, model: Pointed, settings: Settings, *, instead: Pointed) -> None:
        """Let a new version answer; where its workers do not come up, the other goes on.

        Raises:
            DeploymentError: they do not.
        """
        self._archive(model)
        try:
            self.answer_from(model, settings, instead=instead)
        except BaseException:
            with suppress(DeploymentError):
                self.tidy()
            raise

    def answer_from(self, model: Pointed, settings: Settings, *, instead: Pointed) -> None:
        """Give a version workers, let it answer, then take those of the other.

        Raises:
            DeploymentError: its workers do not come up, or the server fails otherwise: then the
                other answers as before.
        """
        try:
            self._move(model, settings, instead)
        except BaseException:
            self._move_back(model, settings, instead)
            raise

    def _move(self, model: Pointed, settings: Settings, instead: Pointed) -> None:
        management, version = self.management(model.name), model_version(model)
        if version in management.versions():
            management.scale(version, settings.workers)
        else:
            management.register(
                archive_name(model),
                workers=settings.workers,
                batch=together(settings),
                seconds=seconds(settings),
            )
        # What is started anew from here on answers from it too.
        configure(self.folder, model, settings, self.addresses, self._token_minutes)
        management.set_default(version)
        management.scale(model_version(instead), 0)

    def _move_back(self, model: Pointed, settings: Settings, instead: Pointed) -> None:
        """Undo as much as the server still does; started anew it answers as before anyhow."""
        configure(self.folder, instead, settings, self.addresses, self._token_minutes)
        management, version = self.management(instead.name), model_version(instead)
        with suppress(DeploymentError):
            management.scale(version, settings.workers)
            management.set_default(version)
            if model_version(model) in management.versions():
                management.scale(model_version(model), 0)

    def tidy(self) -> None:
        """Forget the versions that are neither out nor to go back to."""
        ledger = Ledger(self.folder)
        releases: list[Release] = [each for each in (ledger.current, ledger.previous) if each]
        kept = {archive_name(each.model): model_version(each.model) for each in releases}
        for release in releases[:1]:
            management = self.management(release.model.name)
            for version in management.versions().keys() - set(kept.values()):
                management.unregister(version)
        for resource in ledger.resources:
            if resource.kind == ARCHIVE and resource.name not in kept:
                (self.folder / STORE / resource.name).unlink(missing_ok=True)
                ledger.gone(resource)

    def remove(self) -> None:
        """End it, and remove all that was made.

        Raises:
            DeploymentError: it does not end.
        """
        process.stop(self.folder)
        ledger = Ledger(self.folder)
        for each in ledger.resources:  # TMPDIR may have been another then
            if each.kind == FOLDER:
                shutil.rmtree(each.name, ignore_errors=True)
        ledger.forget()

    def _make_room(self, ledger: Ledger, addresses: Addresses) -> None:
        place = self._temporary
        if place.exists() and ledger.find(FOLDER, str(place)) is None:
            raise DeploymentError(f"{place} is there already, and not ours: remove it")
        ledger.making(FOLDER, str(place))
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        ledger.making(*SERVER, **addresses.facts)
        (self.folder / STORE).mkdir(exist_ok=True)

    def _archive(self, model: Pointed) -> None:
        name = archive_name(model)
        Ledger(self.folder).making(ARCHIVE, name)
        write_archive(model, self.folder / STORE / name)

    def _await(self, keeper: subprocess.Popen[bytes], model: Pointed, workers: int) -> None:
        """Wait until all workers answer; TorchServe itself is well before any does."""
        log.info("Waiting for the workers of %s, %g s at most", model.version, self._wait)
        until = time.monotonic() + self._wait
        while time.monotonic() < until:
            if keeper.poll() is not None:
                raise DeploymentError("TorchServe does not start:")
            try:
                if ready(self.management(model.name).default()) >= workers:
                    return
            except DeploymentError:  # not yet
                pass
            time.sleep(LOOK_SECONDS)
        raise DeploymentError(
            f"TorchServe's workers do not answer after {self._wait:g} s (deployment.wait_seconds):"
        )

    def _last_lines(self) -> str:
        file = self.folder / LOG
        lines = file.read_text(errors="replace").splitlines() if file.exists() else []
        return "\n".join(lines[-LAST_LINES:])
