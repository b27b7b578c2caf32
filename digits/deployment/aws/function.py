"""`deployment=lambda`: a function at AWS Lambda, paid by the request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from digits.deployment.aws.function_event import ask
from digits.deployment.aws.function_front import (
    LIVE,
    NOT_YET,
    URL,
    Alias,
    Shares,
    Url,
    alias,
    check_keys,
    is_open,
    keys_of,
    url,
)
from digits.deployment.aws.function_parts import FUNCTION, Function, configuration
from digits.deployment.aws.function_removal import removers
from digits.deployment.aws.function_shape import Days, Shape
from digits.deployment.aws.package import Architecture, Runtime
from digits.deployment.aws.parts import Part, Remover, listed, made, planned, removed
from digits.deployment.aws.session import ACCOUNT, Session
from digits.deployment.aws.storage import OBJECT
from digits.deployment.aws.target import AwsTarget, things
from digits.deployment.ledger import Ledger, Release, Resource
from digits.deployment.target import Order, Reply, Status, Step
from digits.errors import DeploymentError
from serving.settings import api_keys

VERSION_FACT = "function_version"


class Lambda(AwsTarget):
    """A function with a URL, its versions behind an alias.

    Args:
        folder: what is kept here of it.
        name: of the function; other things are named after it.
        region: null: as AWS_REGION or the user's AWS files say.
        package: zip, or image: which Docker builds, where it is not there, and pushes.
        image: that is built already, by ``scripts/image lambda``; null: as this source has it.
        runtime: of a zip; 3.11 stands on a system too old for today's ONNX Runtime.
        architecture: of the processor; arm64 costs less, and an image has to be built for it.
        memory_mb: of each copy; processor time comes with it.
        timeout_seconds: for one request.
        concurrency: requests at once that are reserved for it, and its most; null: what the
            account has left; 0: it is switched off.
        url: who may ask over HTTP: iam (who may invoke it, signed), keys (who has one of
            ``DIGITS_API_KEYS``, as it is where this is typed), none (no URL).
        canary_percent: of the requests that a new version gets; the rest goes to the one before,
            until ``apply`` with 0 gives it all of them, or ``rollback`` none.
        log_days: that the log is kept.
        cache: folder where the zipped libraries are kept.
        wait_seconds: longest until AWS is done with one change.
        endpoint_url: of a stand-in for AWS; null: AWS.
        registry: ``host:port`` of a stand-in for ECR's registry; null: ECR.
    """

    kind = "lambda"
    asked = FUNCTION

    def __init__(
        self,
        *,
        folder: str,
        cache: str,
        name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,29}$")] = "digits",
        region: str | None = None,
        package: Literal["zip", "image"] = "zip",
        image: str | None = None,
        runtime: Runtime = "python3.12",
        architecture: Architecture = "x86_64",
        memory_mb: Annotated[int, Field(ge=256, le=10_240)] = 1024,
        timeout_seconds: Annotated[int, Field(ge=2, le=60)] = 15,
        concurrency: Annotated[int, Field(ge=0)] | None = None,
        url: Literal["iam", "keys", "none"] = "iam",
        canary_percent: Annotated[float, Field(ge=0, lt=100)] = 0.0,
        log_days: Days = 30,
        wait_seconds: Annotated[float, Field(gt=0, le=3600)] = 300.0,
        endpoint_url: str | None = None,
        registry: str | None = None,
    ) -> None:
        super().__init__(folder=folder, name=name, region=region, endpoint_url=endpoint_url)
        self._url, self._canary_percent = url, canary_percent
        self._shape = Shape(
            name=name,
            package=package,
            image=image,
            runtime=runtime,
            architecture=architecture,
            memory_mb=memory_mb,
            timeout_seconds=timeout_seconds,
            concurrency=concurrency,
            asks_for_key=url == "keys",
            log_days=log_days,
            cache=Path(cache).expanduser().absolute(),
            wait_seconds=wait_seconds,
            registry=registry,
        )

    def plan(self, order: Order) -> list[Step]:
        """See :meth:`Target.plan`."""
        aws, ledger = self._aws, self._opened()
        needed, function, _ = self._needed(aws, order)
        steps = planned(ledger, needed)
        steps += planned(ledger, self._front(aws, function.published()))
        return [*steps, *(Step("remove", f"{URL} {self._name}:{LIVE}") for _ in self._left(ledger))]

    def apply(self, order: Order) -> list[Step]:
        """See :meth:`Target.apply`."""
        with self.claimed():
            aws, ledger = self._aws, self._opened()
            needed, function, code = self._needed(aws, order)
            # A name that is taken, or a version that asks for no key, is met before anything.
            planned(ledger, [*needed, *self._front(aws, function.published())])
            ledger.making(ACCOUNT, aws.place)
            try:
                steps = made(ledger, needed)
                number = function.publish()
                before = alias(aws, self._name)
                # First: it may be open to anybody, and the new version ask for no key.
                steps += removed(ledger, self._left(ledger), self._removers())
                steps += made(ledger, self._front(aws, number))
            except DeploymentError as error:
                raise _left_behind(ledger, error) from error
            self._release(ledger, order, number, before)
            old = [each for each in ledger.resources if each.kind == OBJECT]
            removed(ledger, [each for each in old if each.name not in code], self._removers())
            return steps

    def status(self) -> Status:
        """See :meth:`Target.status`."""
        release, aws, name = self._out(), self._aws, self._known_name
        found, shares = configuration(aws, name, LIVE), alias(aws, name)
        if found is None or shares is None:
            raise DeploymentError(f"The function {name} is gone: action=apply makes it again")
        address = url(aws, name)
        asked = f"{name}:{LIVE}"
        rows = (
            ("function", f"{asked} in {aws.place} (account/region)"),
            ("traffic", str(shares)),
            ("memory", f"{found['MemorySize']} MB, {found['Timeout']} s"),
            ("package", _sized(found)),
            ("access", "no URL" if address is None else Url.access(address)),
        )
        told = asked if address is None else str(address["FunctionUrl"])
        return Status(release.model.version, told, rows)

    def ask(self, body: bytes, content_type: str) -> Reply:
        """See :meth:`Target.ask`."""
        self._out()
        return ask(self._aws, self._known_name, body, content_type)

    def rollback(self) -> list[Step]:
        """See :meth:`Target.rollback`."""
        with self.claimed():
            self._out()
            aws, ledger = self._aws, self._opened()
            before = ledger.previous
            if before is None:
                raise DeploymentError("There is no version before this one to go back to")
            number = before.facts[VERSION_FACT]
            if configuration(aws, self._name, number) is None:
                raise DeploymentError(
                    f"Version {number} of the function {self._name} is gone: deploy it again with "
                    f"action=apply version={before.model.number}"
                )
            if is_open(aws, self._name):
                check_keys(aws, self._name, number, keys_of(aws, self._name, LIVE))
            steps = made(ledger, [Alias(aws, self._name, Shares(number))])
            ledger.rolled_back()
            return steps

    def _removers(self) -> Mapping[str, Remover]:
        return removers(self._aws)

    def _needed(self, aws: Session, order: Order) -> tuple[list[Part], Function, set[str]]:
        """Return what has to be there, the function among it, and the names of its code's parts."""
        ground, code, function = self._shape.parts(aws, order)
        # What is published has its code at Lambda.
        needed = [*ground, *(() if function.published() else code), function]
        return needed, function, {part.name for part in code}

    def _front(self, aws: Session, number: str | None) -> list[Part]:
        """Return what makes the version ``number`` answer, in the order in which no key is missed.

        Raises:
            DeploymentError: one that goes on answering anybody asks for other keys, or none.
        """
        shares, with_keys = Shares(number), self._url == "keys"
        before = alias(aws, self._name)
        if self._canary_percent and before is not None and before.version not in (number, None):
            shares = Shares(before.version, {number or NOT_YET: self._canary_percent / 100})
            if with_keys:
                check_keys(aws, self._name, before.version, api_keys())
        moved = Alias(aws, self._name, shares)
        if self._url == "none":
            return [moved]
        door = Url(aws, self._name, is_open=with_keys)
        closes = not with_keys and is_open(aws, self._name)
        return [door, moved] if closes else [moved, door]

    def _left(self, ledger: Ledger) -> list[Resource]:
        """Return the URL that is not wanted any more, if there is one."""
        found = ledger.find(URL, f"{self._name}:{LIVE}")
        return [found] if found is not None and self._url == "none" else []

    def _release(self, ledger: Ledger, order: Order, number: str, before: Shares | None) -> None:
        """Write down what is out; a canary that another one has ended was never quite so."""
        current = ledger.current
        known = current.facts[VERSION_FACT] if current is not None else None
        if before is not None and number not in before.second and known in before.second:
            ledger.rolled_back()
        ledger.released(Release(model=order.model, facts={VERSION_FACT: number}))


def _sized(found: Mapping[str, Any]) -> str:
    """Say how a function is packed; AWS does not count the bytes of an image."""
    size = found.get("CodeSize", 0)
    return f"zip, {size / 1e6:.1f} MB" if found["PackageType"] == "Zip" else "image"


def _left_behind(ledger: Ledger, error: DeploymentError) -> DeploymentError:
    """Say what a failed attempt has made; nothing of it is lost."""
    lines = [f"{each.kind} {each.name}" for each in things(ledger)]
    if not lines:
        ledger.forget()
        return error
    told = f"{error}\nMade so far; action=apply goes on from here, action=destroy removes it:"
    return DeploymentError(listed(told, lines))
