"""`deployment=docker`: a hardened container on the Docker engine of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from digits.contract.files import write_atomically
from digits.contract.pointer import Pointer
from digits.deployment import containers, storing
from digits.deployment.asking import reply
from digits.deployment.baking import Baking, release_of
from digits.deployment.checks import check_bundle, check_folder
from digits.deployment.containers import ORDER, Container
from digits.deployment.engine import Engine
from digits.deployment.ledger import Release
from digits.deployment.served import POINTER, Served
from digits.deployment.slot import CONTAINER, Slot
from digits.deployment.target import Order, Reply, Status, Step, Target
from digits.errors import ConfigError, DeploymentError, Finding
from serving.environment import digests_of
from serving.listening import listen
from serving.settings import Settings

SETTINGS = "settings.json"
INSIDE = "/opt/ml/served"  # pointer and bundles, as the container sees them
DETAILS = {
    "create": "read-only, without capabilities",
    "change": "ended in peace and started anew: a moment without an answer",
    "keep": "it runs as ordered",
}


class Docker(Target):
    """A container without rights: read-only, no capability, a user of its own.

    Args:
        folder: what is kept here of it: ledger, settings, the bundles that it reads.
        traffic: folder for the store of predictions, where ``serving.traffic.url`` is SQLite's: the
            container may write there and nowhere else. It is kept when the deployment is destroyed.
        name: of the container.
        image: that is built already; null builds it from docker/Dockerfile.
        model: mounted: read from ``folder``, and another version takes over without a pause; baked:
            in an image of its own, which an engine on another machine can run too.
        network: bridge: only the port is published; host: the network of this machine.
        memory_mb: that it may take; more ends it.
        cpus: processors that it may take; null: all.
        wait_seconds: until a container that does not answer is given up.
    """

    kind: ClassVar[str] = "docker"

    def __init__(
        self,
        *,
        folder: str,
        traffic: str,
        name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,60}$")] = "digits",
        image: str | None = None,
        model: Literal["mounted", "baked"] = "mounted",
        network: Literal["bridge", "host"] = "bridge",
        memory_mb: Annotated[int, Field(ge=128, le=1_000_000)] = 1024,
        cpus: Annotated[float, Field(gt=0, le=1024)] | None = None,
        wait_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0,
    ) -> None:
        super().__init__(folder=folder)
        self.traffic = Path(traffic).expanduser().absolute()
        self.name, self.image, self.is_baked = name, image, model == "baked"
        self.network, self.wait_seconds = network, wait_seconds
        self._served = Served(self.folder / "served", INSIDE)
        self._shaped = partial(Container, name, network, memory_mb, cpus)

    def plan(self, order: Order) -> list[Step]:
        """Say what :meth:`apply` would do."""
        slot = self._slot()
        self._check(order)
        present = slot.present()
        image, steps = self._baking(slot).find(order.model)
        if image is None:
            return [*steps, self._step_of("change" if present else "create")]
        return [self._step(present, order.settings, release_of(order.model, image))]

    def apply(self, order: Order) -> list[Step]:
        """Have it run as ordered; while it does not answer, the one before is kept.

        Raises:
            ConfigError: the address cannot be had.
            DeploymentError: it does not start, and then the one before runs again; it has secrets
                that are not said here; the name is somebody else's; the image cannot be built.
        """
        slot = self._slot()
        self._check(order)
        slot.present()
        with self.claimed(), self._tidied(slot):
            slot.recover(self.ledger)
            image, steps = self._baking(slot).make(order.model, self.ledger)
            release = release_of(order.model, image)
            steps.append(self._put_out(slot, order.settings, release))
            self.ledger.released(release)
        return steps

    def status(self) -> Status:
        """Ask the container which version answers, and the engine how it stands."""
        found = self._running()
        reached, state = containers.address(found), found["State"]
        rows = [
            ("container", f"{self.name} {found['Id'][:12]}, {state['Status']}"),
            ("since", state["StartedAt"][:19].replace("T", " ") + " UTC"),
            ("log", f"docker logs {self.name}"),
        ]
        if any(each["Destination"] == storing.INSIDE for each in found["Mounts"]):
            rows.append(("traffic", storing.override(self.traffic)))
        version = reply(f"{reached}/v1/model").content.get("version", "none")
        return Status(str(version), reached, tuple(rows))

    def ask(self, body: bytes, content_type: str) -> Reply:
        """Send one request to the container."""
        reached = containers.address(self._running())
        return reply(f"{reached}/v1/predict", body, kind=content_type)

    def rollback(self) -> list[Step]:
        """Answer from the version and the image before."""
        self._running()
        slot = self._slot()
        with self.claimed(), self._tidied(slot):
            slot.recover(self.ledger)
            before = self.ledger.previous
            if before is None:
                raise DeploymentError(f"{self.folder}: no version was out before this one")
            if slot.engine.image_id(before.facts["image"]) is None:
                raise DeploymentError(
                    f"The image of {before.model.version} is gone from the engine: deploy it anew "
                    f"with version={before.model.number or before.model.folder}"
                )
            step = self._put_out(slot, Settings.read(self.folder / SETTINGS), before)
            self.ledger.rolled_back()
        return [step]

    def destroy(self) -> list[Step]:
        """Remove container, bundles, and the images nobody else uses; traffic is kept."""
        with self.claimed():
            return self._remove() if self.ledger else []

    def _remove(self) -> list[Step]:
        slot, ledger, file, steps = self._slot(), self.ledger, self.folder / SETTINGS, []
        settings = Settings.read(file) if file.exists() else None
        made = ledger.resources[::-1]
        # Containers first: an image that one is still made of is somebody else's too.
        for each in sorted(made, key=lambda each: each.kind != CONTAINER):
            if each.kind == CONTAINER:
                slot.end(each.name, settings)
            elif not slot.engine.remove_image(each.name):
                steps.append(Step("keep", f"{each.kind} {each.name}", "another container needs it"))
                continue
            steps.append(Step("remove", f"{each.kind} {each.name}"))
            ledger.gone(each)
        ledger.forget()
        return steps

    @contextmanager
    def _tidied(self, slot: Slot) -> Iterator[None]:
        """Remove at the end what is not needed any more, all of it where the first try failed."""
        try:
            yield
        finally:
            ledger = self.ledger
            if ledger.current is None:
                self._remove()
            else:
                self._baking(slot).tidy(ledger)
                kept = (ledger.current, ledger.previous)
                self._served.keep(each.model for each in kept if each is not None)

    def _slot(self) -> Slot:
        return Slot(Engine.find(), self.name, str(self.folder))

    def _running(self) -> dict[str, Any]:
        if self.ledger.current is None:
            raise DeploymentError(f"Nothing is deployed in {self.folder}: action=apply does it")
        return self._slot().running()

    def _check(self, order: Order) -> None:
        """Refuse what would fail later, before anything is made."""
        check_folder(self.folder)
        check_bundle(order.model.folder)
        storing.check(order.settings, self.network)
        if self.network == "host" and order.settings.port == 0:
            told = "0, any that is free, is for deployment.network=bridge: choose a number"
            raise ConfigError([Finding("serving.port", told)])

    def _baking(self, slot: Slot) -> Baking:
        return Baking(slot.engine, self.name, self.image, with_model=self.is_baked)

    def _container(self, settings: Settings, release: Release) -> Container:
        given, mounts, user = storing.inside(settings, self.traffic)
        environment = digests_of(release.model)
        if not self.is_baked:
            environment = {"DIGITS_SERVING_POINTER": f"{INSIDE}/{POINTER}"}
            mounts = (*mounts, (str(self._served.folder), INSIDE, "ro"))
        image, owner = release.facts["image"], str(self.folder)
        return self._shaped(image, owner, given, environment, mounts, user)

    def _step(self, present: dict[str, Any] | None, settings: Settings, release: Release) -> Step:
        """Say what it takes to have the container run as it should."""
        if present is None:
            return self._step_of("create")
        digest = self._container(settings, release).digest
        if present["Config"]["Labels"].get(ORDER) != digest or not present["State"]["Running"]:
            containers.check_secrets(present)
            return self._step_of("change")
        if self.is_baked or self._served.points_to(release.model):
            return self._step_of("keep")
        return Step("change", "model", f"to {release.model.version}; no request notices")

    def _step_of(self, change: Literal["create", "change", "keep"]) -> Step:
        return Step(change, f"container {self.name}", DETAILS[change])

    def _put_out(self, slot: Slot, settings: Settings, release: Release) -> Step:
        step, ledger = self._step(slot.present(), settings, release), self.ledger
        try:
            if not self.is_baked:
                self._served.point_to(release.model)
            if step.what == "model":
                containers.swap(
                    slot.engine, slot.running(), release.model.version, settings, self.wait_seconds
                )
            elif step.change != "keep":
                self._start(slot, settings, release)
        except BaseException:
            if ledger.current is not None and not self.is_baked:
                self._served.point_to(ledger.current.model)
            raise
        write_atomically(self.folder / SETTINGS, settings.model_dump_json(indent=2) + "\n")
        return step

    def _start(self, slot: Slot, settings: Settings, release: Release) -> None:
        present = slot.present()
        published = containers.published(present) if present else None
        if settings.port not in (0, published):
            listen(settings.host, settings.port).close()  # before the one that runs is ended
        storing.prepare(settings, self.traffic, Pointer(champion=release.model))
        file = self.folder / SETTINGS
        former = Settings.read(file) if file.exists() else settings
        container = self._container(settings, release)
        slot.put(container, former, self.ledger, self.wait_seconds)
