"""What every deployment target is: six things that can be done with it, alike for all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from filelock import FileLock, Timeout

from digits.contract.pointer import Pointed, Pointer
from digits.deployment.checks import check_folder
from digits.deployment.ledger import Ledger
from digits.errors import DeploymentError
from serving.settings import Settings

if TYPE_CHECKING:
    from digits.deployment.resolve import Watch  # loads MLflow

Change = Literal["create", "change", "remove", "keep"]


class Step(NamedTuple):
    """One thing that is done, or would be.

    Attributes:
        change: what is done with it.
        what: kind and name, for example ``container digits``.
        detail: what a person would like to know of it.
    """

    change: Change
    what: str
    detail: str = ""


class Reply(NamedTuple):
    """What a deployed model answered.

    Attributes:
        status: of HTTP.
        content: as ``POST /v1/predict`` answers; with ``code`` and ``error`` from 400 on.
        seconds: until it was here.
    """

    status: int
    content: dict[str, Any]
    seconds: float


class Status(NamedTuple):
    """How a deployment stands.

    Attributes:
        version: that answers.
        address: where, as a person would type it.
        rows: what else there is to say, as (name, value) pairs.
    """

    version: str
    address: str
    rows: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Order:
    """What is to run.

    Attributes:
        settings: of the service.
        watch: where the models come from; what a target that follows an alias looks at.
        pointer: what is answered from at first.
    """

    settings: Settings
    watch: Watch
    pointer: Pointer

    @property
    def model(self) -> Pointed:
        """The version to deploy; its ``folder`` is the verified bundle."""
        return self.pointer.champion


class Target(ABC):
    """A place that a model is deployed to.

    Args:
        folder: what is kept here of the deployment: the ledger above all.
    """

    kind: ClassVar[str]
    follows: ClassVar[bool] = False  # takes over a moved alias by itself

    def __init__(self, *, folder: str) -> None:
        self.folder = Path(folder).expanduser().absolute()

    @property
    def ledger(self) -> Ledger:
        """What was made, and which version is out."""
        return Ledger(self.folder)

    @abstractmethod
    def plan(self, order: Order) -> list[Step]:
        """Say what :meth:`apply` would do; look only, change nothing, cost nothing."""

    @abstractmethod
    def apply(self, order: Order) -> list[Step]:
        """Have it run as ordered; what is so already is kept.

        Raises:
            DeploymentError: it cannot be; what this attempt made is removed, or the ledger has it
                and the message says so.
        """

    @abstractmethod
    def status(self) -> Status:
        """Ask how it stands.

        Raises:
            DeploymentError: nothing is deployed, or nobody answers.
        """

    @abstractmethod
    def ask(self, body: bytes, content_type: str) -> Reply:
        """Send one request as ``POST /v1/predict`` takes it; return any answer.

        Raises:
            DeploymentError: nothing is deployed, or nobody answers.
        """

    @abstractmethod
    def rollback(self) -> list[Step]:
        """Go back to the version that was out before.

        Raises:
            DeploymentError: there was none, or it cannot be had any more.
        """

    @abstractmethod
    def destroy(self) -> list[Step]:
        """Remove all that the ledger lists; an empty list: there was nothing."""

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other commands away meanwhile, and a folder that is none of ours as it is.

        Raises:
            DeploymentError: one is at work, or the folder holds something else.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder.with_name(f".{self.folder.name}.lock"), timeout=0):
                self._check_folder()
                yield
        except Timeout:
            raise DeploymentError(f"Another command is changing {self.folder}") from None

    def _check_folder(self) -> None:
        check_folder(self.folder)
