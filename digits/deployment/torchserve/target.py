"""`deployment=torchserve`: a TorchServe on this machine, supervised, in the background."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from digits.contract.pointer import Pointed
from digits.deployment.ledger import Release
from digits.deployment.service import is_running
from digits.deployment.target import Order, Reply, Status, Step, Target
from digits.deployment.torchserve.archive import archive_name, model_version
from digits.deployment.torchserve.keeper import LOG
from digits.deployment.torchserve.management import KEYS, ready
from digits.deployment.torchserve.server import Server
from digits.errors import ConfigError, DeploymentError
from serving.settings import Settings

Change = Literal["start", "restart", "version", "none"]


class TorchServe(Target):
    """TorchServe, which its authors no longer develop: for those who have it already.

    Args:
        folder: all that is kept of it: archives, configuration, tokens, log.
        management_port: of this machine, for its management API; 0: any that is free.
        token_minutes: until a token expires; new ones are fetched as they are needed.
        wait_seconds: for workers to come up.
    """

    kind: ClassVar[str] = "torchserve"

    def __init__(
        self,
        *,
        folder: str,
        management_port: Annotated[int, Field(ge=0, le=65_535)] = 8081,
        token_minutes: Annotated[int, Field(ge=1, le=10_000)] = 60,
        wait_seconds: Annotated[float, Field(gt=0, le=3600)] = 120.0,
    ) -> None:
        super().__init__(folder=folder)
        self._server = Server(
            self.folder,
            management_port=management_port,
            token_minutes=token_minutes,
            wait_seconds=wait_seconds,
        )

    def plan(self, order: Order) -> list[Step]:
        """Say what :meth:`apply` would do."""
        change, new = self._change(order), order.model.version
        archive = Step("create", f"archive {archive_name(order.model)}", "bundle and code")
        if change == "none":
            return [Step("keep", "server torchserve", f"{new} answers as ordered")]
        if change == "restart":
            return [archive, Step("change", "server torchserve", "ended, and started anew")]
        if change == "start":
            return [archive, Step("create", "server torchserve", "supervised, in the background")]
        return [archive, *_moved(new, self._out().version)]

    def apply(self, order: Order) -> list[Step]:
        """Start the server, start it anew, or register the version in the one that runs.

        Raises:
            ConfigError: an address cannot be had.
            DeploymentError: there is no Java, or the workers do not come up: what was made is
                removed again, and a version that answered goes on unless the server was to start.
            MissingExtraError: TorchServe is not installed.
        """
        with self.claimed():
            change, steps = self._change(order), self.plan(order)
            if change == "version":
                self._server.release(order.model, order.settings, instead=self._out())
            elif change != "none":
                self._server.start(order.model, order.settings)
            if change != "none":
                self.ledger.released(Release(model=order.model, facts=_facts(order.model)))
                self._server.tidy()
        return steps

    def status(self) -> Status:
        """Ask the server which version answers, and how its workers are."""
        out, addresses = self._out(), self._server.addresses
        found = self._server.management(out.name).default()
        names = {archive_name(each.model): each.model.version for each in self._releases()}
        previous = self.ledger.previous
        rows = (
            ("workers", f"{ready(found)} of {found['minWorkers']} ready"),
            ("before", previous.model.version if previous else "none"),
            ("management", addresses.management),
            ("metrics", f"{addresses.metrics}/metrics"),
            ("tokens", str(self.folder / KEYS)),
            ("log", str(self.folder / LOG)),
        )
        version = names.get(str(found["modelUrl"]), str(found["modelVersion"]))
        return Status(version, f"{addresses.reached.inference}/predictions/{out.name}", rows)

    def ask(self, body: bytes, content_type: str) -> Reply:
        """Send one request to the version that is out, with a token."""
        return self._server.management(self._out().name).ask(body, content_type)

    def rollback(self) -> list[Step]:
        """Give the version before its workers back and let it answer; then take the other's."""
        with self.claimed():
            out, ledger = self._out(), self.ledger
            if ledger.previous is None:
                raise DeploymentError(f"{self.folder}: no version was out before this one")
            before = ledger.previous.model
            self._server.answer_from(before, self._server.settings, instead=out)
            ledger.rolled_back()
        return _moved(before.version, out.version)

    def destroy(self) -> list[Step]:
        """Let requests at work finish, end the server, remove its folders."""
        with self.claimed():
            made = self.ledger.resources[::-1]
            if self.ledger:
                self._server.remove()
        return [Step("remove", f"{each.kind} {each.name}") for each in made]

    def _change(self, order: Order) -> Change:
        out = self.ledger.current
        if out is None or not is_running(self.folder):
            return "start"
        try:
            present = self._server.settings
        except ConfigError:  # of another version of this program
            return "restart"
        if _comparable(present) != _comparable(order.settings):
            return "restart"
        kept = {model_version(each.model): each.facts for each in self._releases()}
        wanted = _facts(order.model)
        if out.facts == wanted:
            return "none"
        # A version of this name with another content: TorchServe has room for one.
        return "version" if kept.get(model_version(order.model), wanted) == wanted else "restart"

    def _releases(self) -> list[Release]:
        ledger = self.ledger
        return [each for each in (ledger.current, ledger.previous) if each]

    def _out(self) -> Pointed:
        """Return the version that is out.

        Raises:
            DeploymentError: none is, or the server does not run.
        """
        out = self.ledger.current
        if out is None or not is_running(self.folder):
            raise DeploymentError(f"Nothing is deployed in {self.folder}: action=apply starts it")
        return out.model


def _facts(model: Pointed) -> dict[str, str]:
    return {"archive": archive_name(model)}


def _comparable(settings: Settings) -> Settings:
    return settings.model_copy(update={"deployment": ""})


def _moved(new: str, before: str) -> list[Step]:
    return [
        Step("change", f"model {new}", "gets workers"),
        Step("change", "default version", f"{new} instead of {before}"),
        Step("change", f"model {before}", "has no workers; kept to go back to"),
    ]
