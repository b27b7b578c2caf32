"""What every target at AWS does alike: whose folder it is, which account, and under which name."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

from digits.deployment.aws.parts import Remover, removed
from digits.deployment.aws.session import ACCOUNT, Session
from digits.deployment.checks import check_folder
from digits.deployment.ledger import Ledger, Release, Resource
from digits.deployment.target import Step, Target
from digits.errors import DeploymentError


class AwsTarget(Target):
    """A deployment in one account and region, under one name.

    Args:
        folder: what is kept here of it: the ledger.
        name: of what is asked.
        region: null: as AWS_REGION or the user's AWS files say.
        endpoint_url: of a stand-in for AWS; null: AWS itself.
    """

    asked: ClassVar[str]  # the kind of the thing that has the deployment's name

    def __init__(
        self, *, folder: str, name: str, region: str | None, endpoint_url: str | None
    ) -> None:
        super().__init__(folder=folder)
        self._name, self._region, self._endpoint_url = name, region, endpoint_url

    def destroy(self) -> list[Step]:
        """See :meth:`Target.destroy`."""
        with self.claimed():
            ledger = self.ledger
            if not ledger:
                return []
            self._aws.check_place(ledger)
            steps = removed(ledger, things(ledger), self._removers())
            ledger.forget()
            return steps

    @abstractmethod
    def _removers(self) -> Mapping[str, Remover]:
        """Return what removes each kind, in an order that AWS takes."""

    @cached_property
    def _aws(self) -> Session:
        return Session(region=self._region, endpoint_url=self._endpoint_url)

    @property
    def _known_name(self) -> str:
        """By which it was made, whatever is ordered now."""
        names = [each.name for each in self.ledger.resources if each.kind == self.asked]
        return names[0] if names else self._name

    def _opened(self) -> Ledger:
        """Return the ledger, where this order may go on with what it lists.

        Raises:
            DeploymentError: the folder, what it lists, or its name belongs to something else.
        """
        check_folder(self.folder)
        ledger, known = self.ledger, self._known_name
        self._aws.check_place(ledger)
        if known != self._name:
            raise DeploymentError(
                f"deployment.name: {self.folder} has the deployment {known}: action=destroy "
                f"removes it, and deployment.folder keeps {self._name} apart"
            )
        return ledger

    def _out(self) -> Release:
        """Return the version that is out.

        Raises:
            DeploymentError: none is, or the credentials are of another account.
        """
        ledger = self.ledger
        if ledger.current is None:
            raise DeploymentError(f"Nothing is deployed in {self.folder}: action=apply deploys")
        self._aws.check_place(ledger)
        return ledger.current


def things(ledger: Ledger) -> list[Resource]:
    """Return all that was made; the account, which guards the rest, is no such thing."""
    return [each for each in ledger.resources if each.kind != ACCOUNT]
