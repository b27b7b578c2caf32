"""Things at AWS under names known beforehand: looked at, made, and removed again by the ledger."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Literal

from digits.deployment.ledger import Ledger, Resource
from digits.deployment.target import Step
from digits.errors import DeploymentError

Stand = Literal["create", "change", "keep"]
Remover = Callable[[Resource], None]


class UnfinishedError(DeploymentError):
    """AWS is still at work: nothing may be removed under it."""


class Part(ABC):
    """One thing that a deployment needs.

    Attributes:
        kind, name: by which the ledger and a person know it.
        detail: what a person would like to know of it.
        facts: what else it takes to remove it.
        of_content: whether the name says what is in it, so that it is the same whoever made it.
    """

    kind: ClassVar[str]
    name: str
    detail: str = ""
    facts: Mapping[str, str] = {}
    of_content: ClassVar[bool] = False

    @abstractmethod
    def look(self) -> Stand:
        """Say what :meth:`make` would have to do; changes nothing.

        Raises:
            DeploymentError: the name belongs to somebody else.
        """

    @abstractmethod
    def make(self) -> None:
        """Have it be there as wanted; what is there already is changed."""


def planned(ledger: Ledger, parts: Iterable[Part]) -> list[Step]:
    """Say what :func:`made` would do.

    Raises:
        DeploymentError: a name is taken.
    """
    steps = []
    for part in parts:
        stand = part.look()
        is_ours = part.of_content or ledger.find(part.kind, part.name) is not None
        if stand != "create" and not is_ours:
            raise taken(part.kind, part.name)
        steps.append(Step(stand, f"{part.kind} {part.name}", part.detail))
    return steps


def made(ledger: Ledger, parts: Iterable[Part]) -> list[Step]:
    """Have every part be there, each written down before it is made.

    Raises:
        DeploymentError: a name is taken, or AWS refuses.
    """
    steps = []
    for part in parts:
        (step,) = planned(ledger, [part])
        ledger.making(part.kind, part.name, **part.facts)
        if step.change != "keep":
            part.make()
        steps.append(step)
    return steps


def taken(kind: str, name: str) -> DeploymentError:
    """Say that a thing is there which this deployment has not made."""
    return DeploymentError(
        f"The {kind} {name} exists already and was not made by this deployment: choose another "
        f"deployment.name, or remove it if nobody needs it"
    )


def removed(
    ledger: Ledger, resources: Iterable[Resource], removers: Mapping[str, Remover]
) -> list[Step]:
    """Remove what is written down: the kinds in the order of ``removers``, the last made first.

    What is not there any more is fine. One that cannot be removed stays in the ledger, and the
    others are removed all the same.

    Raises:
        DeploymentError: something could not be removed; the message lists it.
        UnfinishedError: AWS is still at work on one; what stands on it is left alone.
    """
    order = {kind: rank for rank, kind in enumerate(removers)}
    last_first = reversed(list(resources))
    steps, faults = [], []
    for resource in sorted(last_first, key=lambda each: order.get(each.kind, len(order))):
        what = f"{resource.kind} {resource.name}"
        try:
            removers[resource.kind](resource)
        except UnfinishedError:
            raise
        except KeyError:
            faults.append(f"{what}: this version of Digits does not know how")
        except DeploymentError as error:
            faults.append(f"{what}: {error}")
        else:
            ledger.gone(resource)
            steps.append(Step("remove", what))
    if faults:
        raise DeploymentError(listed("Not removed, run action=destroy again:", faults))
    return steps


def listed(told: str, lines: Sequence[str]) -> str:
    """Return a message with one line for each of ``lines``."""
    return "\n  ".join([told, *lines])
