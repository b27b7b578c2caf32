"""A function at AWS Lambda, and its versions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from digits.deployment.aws.faults import AwsError, explained, missing_is_fine
from digits.deployment.aws.parts import Part, Stand
from digits.deployment.aws.session import Session
from digits.deployment.ledger import Resource
from digits.errors import DeploymentError

FUNCTION = "lambda-function"
CONTENT = "DIGITS_CONTENT"  # variable of the function: what is in it, and how it is set
LOOK_SECONDS = 1.0
NOT_YET = "cannot be assumed by Lambda"  # of a role that was made just now


@dataclass(frozen=True)
class Wanted:
    """How a function is to be.

    Attributes:
        content: names what is in it, and how it is set, in few characters.
        package: what the code is: a zip file or an image.
        code: gives it as ``CreateFunction`` takes it, once it is there.
        plain: further arguments of ``CreateFunction`` that ``UpdateFunctionConfiguration`` takes
            too: role, memory, timeout, variables, and of a zip file handler and runtime.
        architecture: ``x86_64`` or ``arm64``.
        concurrency: reserved; None: what the account has left.
    """

    content: str
    package: Literal["Zip", "Image"]
    code: Callable[[], Mapping[str, str]]
    plain: Mapping[str, Any]
    architecture: str
    concurrency: int | None


class Function(Part):
    """The function itself; its versions go with it.

    Args:
        aws: where.
        name: unique in the account and region.
        wanted: how it is to be.
        wait_seconds: longest until AWS is done with one change.
    """

    kind = FUNCTION

    def __init__(self, aws: Session, name: str, wanted: Wanted, *, wait_seconds: float) -> None:
        self._aws, self.name, self._wanted = aws, name, wanted
        self._wait_seconds = wait_seconds
        self.detail = f"{wanted.plain['MemorySize']} MB, {wanted.package.lower()}, " + (
            "concurrency not reserved"
            if wanted.concurrency is None
            else f"{wanted.concurrency} at once"
        )

    def look(self) -> Stand:
        """See :meth:`Part.look`."""
        found = configuration(self._aws, self.name)
        if found is None:
            return "create"
        if found["PackageType"] != self._wanted.package:
            raise DeploymentError(
                f"The function {self.name} is made of {found['PackageType'].lower()}, and that "
                f"cannot be changed: action=destroy first, or deployment.name=another"
            )
        is_reserved = self._concurrency() == self._wanted.concurrency
        return "keep" if is_reserved and self._is_had(found) else "change"

    def make(self) -> None:
        """See :meth:`Part.make`."""
        found = configuration(self._aws, self.name)
        if found is not None and self._is_stillborn(found):
            remove_function(self._aws, Resource(kind=self.kind, name=self.name))
            found = None
        if found is None:
            self._create()
        elif not self._is_had(found):
            self._update()
        self._reserve()

    def published(self) -> str | None:
        """Return the number of the newest version with this content; None where there is none."""
        found = [each for each in self._versions() if content_of(each) == self._wanted.content]
        return str(found[-1]["Version"]) if found else None

    def publish(self) -> str:
        """Return the number of the version with this content, made where there is none."""
        number = self.published()
        if number is None:
            with explained():
                made = self._aws.client("lambda").publish_version(
                    FunctionName=self.name, Description=self._wanted.content
                )
            number = str(made["Version"])
        self._settle(number)
        return number

    def _versions(self) -> list[Mapping[str, Any]]:
        """Return what is published, the oldest first."""
        pages = self._aws.client("lambda").get_paginator("list_versions_by_function")
        found: list[Mapping[str, Any]] = []
        with missing_is_fine():
            for page in pages.paginate(FunctionName=self.name):
                found += (each for each in page["Versions"] if each["Version"] != "$LATEST")
        return found

    def _is_had(self, found: Mapping[str, Any]) -> bool:
        if content_of(found) == self._wanted.content:
            return not _is_busy(found) and not _failure(found)
        return self.published() is not None  # one to go back to: nothing is changed for it

    def _is_stillborn(self, found: Mapping[str, Any]) -> bool:
        """Tell whether AWS could not create it: no update makes it whole."""
        return found.get("State") == "Failed" and not self._versions()

    def _create(self) -> None:
        wanted, end = self._wanted, time.monotonic() + self._wait_seconds
        while True:
            try:
                with explained():
                    self._aws.client("lambda").create_function(
                        FunctionName=self.name,
                        Code=dict(wanted.code()),
                        PackageType=wanted.package,
                        Architectures=[wanted.architecture],
                        Tags={"made-by": "digits"},
                        **wanted.plain,
                    )
                break
            except AwsError as error:
                if NOT_YET not in error.told or time.monotonic() > end:
                    raise
            time.sleep(LOOK_SECONDS)  # the role is known here and not yet there
        self._settle()

    def _update(self) -> None:
        # The content is named by the second step: what is cut short before it is changed anew.
        client = self._aws.client("lambda")
        self._wait()  # for what is still at work; whether the one before has failed is no matter
        with explained():
            client.update_function_code(
                FunctionName=self.name,
                Architectures=[self._wanted.architecture],
                **self._wanted.code(),
            )
        self._settle()
        with explained():
            client.update_function_configuration(FunctionName=self.name, **self._wanted.plain)
        self._settle()

    def _reserve(self) -> None:
        wanted, client = self._wanted.concurrency, self._aws.client("lambda")
        if self._concurrency() == wanted:
            return
        with explained():
            if wanted is None:
                client.delete_function_concurrency(FunctionName=self.name)
            else:
                client.put_function_concurrency(
                    FunctionName=self.name, ReservedConcurrentExecutions=wanted
                )

    def _concurrency(self) -> int | None:
        with explained():
            found = self._aws.client("lambda").get_function_concurrency(FunctionName=self.name)
        number = found.get("ReservedConcurrentExecutions")
        return None if number is None else int(number)

    def _settle(self, version: str = "$LATEST") -> None:
        """Wait until AWS is done with a change, and has not failed."""
        if reason := _failure(self._wait(version)):
            raise DeploymentError(f"The function {self.name}:{version} cannot be used: {reason}")

    def _wait(self, version: str = "$LATEST") -> Mapping[str, Any]:
        """Wait until AWS is done with a change, and return how the version is set then."""
        name = f"{self.name}:{version}"
        end = time.monotonic() + self._wait_seconds
        while True:
            found = configuration(self._aws, self.name, version)
            if found is None:
                raise DeploymentError(f"The function {name} is gone: somebody has removed it")
            if not _is_busy(found):
                return found
            if time.monotonic() > end:
                raise DeploymentError(
                    f"The function {name} is not ready after {self._wait_seconds:g} s: "
                    f"action=apply waits again; deployment.wait_seconds is for how long"
                )
            time.sleep(LOOK_SECONDS)


def configuration(aws: Session, name: str, version: str = "$LATEST") -> dict[str, Any] | None:
    """Return how a version of a function is set; None where there is none."""
    found: dict[str, Any] | None = None
    with missing_is_fine():
        found = aws.client("lambda").get_function_configuration(
            FunctionName=name, Qualifier=version
        )
    return found


def content_of(configuration: Mapping[str, Any]) -> str | None:
    """Return what names the content of a function."""
    content: str | None = configuration.get("Environment", {}).get("Variables", {}).get(CONTENT)
    return content


def remove_function(aws: Session, resource: Resource) -> None:
    """Remove a function with its versions."""
    with missing_is_fine():
        aws.client("lambda").delete_function(FunctionName=resource.name)


def _is_busy(configuration: Mapping[str, Any]) -> bool:
    return (
        configuration.get("State") == "Pending"
        or configuration.get("LastUpdateStatus") == "InProgress"
    )


def _failure(configuration: Mapping[str, Any]) -> str | None:
    """Return why a function cannot be used; None where it can."""
    for state in ("State", "LastUpdateStatus"):
        if configuration.get(state) == "Failed":
            return str(configuration.get(f"{state}Reason") or "AWS gives no reason")
    return None
