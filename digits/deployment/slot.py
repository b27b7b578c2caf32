"""One name on the Docker engine: the container that has it, and how another takes its place."""

from __future__ import annotations

from typing import Any

from digits.deployment import containers
from digits.deployment.containers import OWNER, Container
from digits.deployment.engine import Engine
from digits.deployment.ledger import Ledger
from digits.errors import DeploymentError
from serving.settings import Settings

CONTAINER = "container"
BEFORE = "-before"  # has the place until its successor answers


class Slot:
    """A name that one deployment has on an engine.

    Args:
        engine: that runs the containers.
        name: of the container.
        owner: the deployment; a container of anybody else is left alone.
    """

    def __init__(self, engine: Engine, name: str, owner: str) -> None:
        self.engine, self.name, self.owner = engine, name, owner
        self._before = name + BEFORE

    def present(self) -> dict[str, Any] | None:
        """Return the container as the engine describes it; None where there is none.

        Raises:
            DeploymentError: somebody else has the name.
        """
        found = self._inspect(self.name)
        if found is not None and not self._is_ours(found):
            raise DeploymentError(
                f"There is a container {self.name} that this deployment did not make: choose "
                f"another name as deployment.name, or remove it: docker rm --force {self.name}"
            )
        return found

    def running(self) -> dict[str, Any]:
        """Return the container that runs.

        Raises:
            DeploymentError: it does not.
        """
        found = self.present()
        if found is None or not found["State"]["Running"]:
            told = "is gone" if found is None else f"does not run ({found['State']['Status']})"
            raise DeploymentError(f"The container {self.name} {told}: action=apply starts it anew")
        return found

    def put(self, container: Container, settings: Settings, ledger: Ledger, seconds: float) -> None:
        """Start a container in the place of the one that is there.

        The one before is stopped and kept aside until this one answers; else it runs again.

        Args:
            container: to start.
            settings: of the one before, which say how long its requests may take to end.
            ledger: where both are written down.
            seconds: until a container that does not answer is given up.

        Raises:
            DeploymentError: it does not start, or does not answer in time; or the one before
                does not end.
        """
        made = ledger.making(CONTAINER, self.name)
        replaces = self.present() is not None
        aside = ledger.making(CONTAINER, self._before) if replaces else None
        try:
            if replaces:
                self.engine.run("rename", self.name, self._before)
                containers.stop(self.engine, self._before, settings)
            containers.start(self.engine, container, seconds)
        except BaseException:
            self.recover(ledger)
            if not replaces:
                ledger.gone(made)
            raise
        if aside is not None:
            containers.remove(self.engine, self._before)
            ledger.gone(aside)

    def recover(self, ledger: Ledger) -> None:
        """Let the container before run again, where one was set aside and its successor failed."""
        aside = ledger.find(CONTAINER, self._before)
        if aside is None:
            return
        found = self._inspect(self._before)
        if found is not None and self._is_ours(found):
            if self.present() is not None:
                containers.remove(self.engine, self.name)
            self.engine.run("rename", self._before, self.name)
            self.engine.run("start", self.name)
        ledger.gone(aside)

    def end(self, name: str, settings: Settings | None) -> None:
        """Let requests at work finish, and remove the container; missing is fine."""
        found = self._inspect(name)
        if found is None or not self._is_ours(found):
            return
        if settings is not None and found["State"]["Running"]:
            containers.stop(self.engine, name, settings)
        containers.remove(self.engine, name)

    def _inspect(self, name: str) -> dict[str, Any] | None:
        return self.engine.inspect("container", name)

    def _is_ours(self, found: dict[str, Any]) -> bool:
        return (found["Config"]["Labels"] or {}).get(OWNER) == self.owner
