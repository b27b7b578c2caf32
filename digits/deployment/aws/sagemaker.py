"""`deployment=sagemaker`: an endpoint at Amazon SageMaker, serverless or on instances."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from digits.deployment.aws import ecr, guarding, hosting, iam, storage
from digits.deployment.aws.blueprint import Blueprint, Wanted, blueprint
from digits.deployment.aws.endpoint import ENDPOINT, Endpoint
from digits.deployment.aws.invocation import invoked
from digits.deployment.aws.parts import Remover, UnfinishedError, listed, made, planned, removed
from digits.deployment.aws.session import ACCOUNT
from digits.deployment.aws.target import AwsTarget, things
from digits.deployment.aws.variant import RealTime, Serverless
from digits.deployment.ledger import Ledger, Release, Resource
from digits.deployment.target import Order, Reply, Status, Step
from digits.errors import ConfigError, DeploymentError, Finding

#: what a release has for itself, and what goes when an order has it no more
PASSING = (
    guarding.SCALING,
    hosting.CONFIGURATION,
    hosting.MODEL,
    guarding.ALARM,
    storage.OBJECT,
    ecr.IMAGE,
)


class SageMaker(AwsTarget):
    """One endpoint, with all that it stands on.

    Args:
        folder: what is kept here of it: the ledger.
        name: of the endpoint; what belongs to it is named after it.
        mode: serverless, or realtime: instances that run all the time.
        image: of the container, at this machine's Docker engine; scripts/image makes it.
        registry: ``host:port`` of a stand-in for ECR's; null: ECR.
        region: null: as AWS_REGION or the user's AWS files say.
        endpoint_url: of a stand-in for AWS; null: AWS itself.
        bucket: for the bundles, and left there; null: one of its own.
        log_days: that a line of the endpoint's log is kept.
        wait_seconds: for AWS to have the endpoint answer.
        serverless, realtime: what each mode runs on.

    Raises:
        ConfigError: values that do not go together.
    """

    kind = "sagemaker"
    asked = ENDPOINT

    def __init__(
        self,
        *,
        folder: str,
        name: Annotated[str, Field(pattern=r"^[a-z](-?[a-z0-9]){1,23}$")] = "digits",
        mode: Literal["serverless", "realtime"] = "serverless",
        image: str = "digits-sagemaker",
        registry: str | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
        bucket: str | None = None,
        log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = 30,
        wait_seconds: Annotated[float, Field(gt=0, le=1e5)] = 1800.0,
        serverless: Serverless | None = None,
        realtime: RealTime | None = None,
    ) -> None:
        super().__init__(folder=folder, name=name, region=region, endpoint_url=endpoint_url)
        runs_on = serverless or Serverless() if mode == "serverless" else realtime or RealTime()
        if faults := runs_on.faults(wait_seconds):
            raise ConfigError([Finding(f"deployment.{key}", told) for key, told in faults])
        self._wanted = Wanted(
            name=name,
            image=image,
            registry=registry,
            bucket=bucket,
            runs_on=runs_on,
            log_days=log_days,
            wait_seconds=wait_seconds,
        )

    def plan(self, order: Order) -> list[Step]:
        """See :meth:`Target.plan`."""
        ledger, plan = self._opened(), self._blueprint(order)
        gone = [Step("remove", f"{each.kind} {each.name}") for each in _outdated(ledger, plan)]
        return [*planned(ledger, plan.parts), *gone]

    def apply(self, order: Order) -> list[Step]:
        """See :meth:`Target.apply`."""
        with self.claimed():
            ledger, plan = self._opened(), self._blueprint(order)
            planned(ledger, plan.parts)  # whether a name is taken, before anything is made
            with self._undone(ledger):
                ledger.making(ACCOUNT, self._aws.place)
                steps = made(ledger, [*plan.before, plan.endpoint])
            ledger.released(Release(model=order.model, facts=plan.facts))
            steps += made(ledger, plan.after)
            return [*steps, *removed(ledger, _outdated(ledger, plan), self._removers())]

    def status(self) -> Status:
        """See :meth:`Target.status`."""
        release, endpoint = self._out(), self._endpoint()
        found = endpoint.described()
        if found is None:
            raise DeploymentError(
                f"The endpoint {endpoint.name} is gone, and nobody here has removed it: "
                f"action=apply makes it anew, action=destroy removes the rest"
            )
        configuration, reason = found["EndpointConfigName"], found.get("FailureReason")
        of_releases = {
            each.facts[hosting.CONFIGURATION]: each.model.version
            for each in (self.ledger.previous, release)
            if each is not None
        }
        rows = (
            ("state", found["EndpointStatus"] + (f": {reason}" if reason else "")),
            ("runs on", endpoint.size(found)),
            ("configuration", configuration),
            ("log", f"aws logs tail /aws/sagemaker/Endpoints/{endpoint.name} --follow"),
        )
        runtime = self._aws.client("sagemaker-runtime").meta.endpoint_url
        version = of_releases.get(configuration, f"unknown: {configuration} is none of ours")
        return Status(version, f"{runtime}/endpoints/{endpoint.name}/invocations", rows)

    def ask(self, body: bytes, content_type: str) -> Reply:
        """See :meth:`Target.ask`."""
        self._out()
        return invoked(self._aws, self._endpoint().name, body, content_type)

    def rollback(self) -> list[Step]:
        """See :meth:`Target.rollback`; all at once, whatever the alarms say."""
        with self.claimed():
            ledger, previous = self._opened(), self.ledger.previous
            if previous is None:
                raise DeploymentError("Nothing was deployed at SageMaker before: no way back")
            endpoint = self._endpoint(previous)
            with self._undone(ledger):
                endpoint.make()
            ledger.rolled_back()
            return [Step("change", f"{ENDPOINT} {endpoint.name}", previous.model.version)]

    def _blueprint(self, order: Order) -> Blueprint:
        plan = blueprint(self._aws, self._wanted, order)
        plan.endpoint.check_mode(serverless=isinstance(self._wanted.runs_on, Serverless))
        return plan

    def _endpoint(self, release: Release | None = None) -> Endpoint:
        """Return the endpoint that was made, by whichever name it was ordered."""
        return Endpoint(
            self._aws,
            self._known_name,
            release.facts[hosting.CONFIGURATION] if release else "",
            wait_seconds=self._wanted.wait_seconds,
        )

    def _removers(self) -> dict[str, Remover]:
        aws, wait_seconds = self._aws, self._wanted.wait_seconds

        def remove_endpoint(resource: Resource) -> None:
            Endpoint(aws, resource.name, wait_seconds=wait_seconds).remove()

        return {
            guarding.SCALING: partial(guarding.remove_scaling, aws),
            ENDPOINT: remove_endpoint,
            hosting.CONFIGURATION: partial(hosting.remove_configuration, aws),
            hosting.MODEL: partial(hosting.remove_model, aws),
            guarding.ALARM: partial(guarding.remove_alarm, aws),
            storage.OBJECT: partial(storage.remove_object, aws),
            storage.BUCKET: partial(storage.remove_bucket, aws),
            ecr.IMAGE: partial(ecr.remove_image, aws),
            ecr.REPOSITORY: partial(ecr.remove_repository, aws),
            iam.ROLE: partial(iam.remove_role, aws),
            # The last: what still ends would make it again, as long as it has the role.
            hosting.LOG_GROUP: partial(hosting.remove_log_group, aws),
        }

    @contextmanager
    def _undone(self, ledger: Ledger) -> Iterator[None]:
        """Remove what is made within, should it fail; list it, where AWS is still at work."""
        before = {(each.kind, each.name) for each in ledger.resources}
        try:
            yield
        except UnfinishedError as error:
            told = f"{error}. It goes on there: action=apply waits for it, action=destroy ends it"
            made_here = [f"{each.kind} {each.name}" for each in things(ledger)]
            raise DeploymentError(listed(f"{told}. There are:", made_here)) from error
        except DeploymentError as error:
            new = [each for each in things(ledger) if (each.kind, each.name) not in before]
            if not new:
                raise
            try:
                removed(ledger, new, self._removers())
            except DeploymentError as left:
                raise DeploymentError(f"{error}\n{left}") from error
            if not things(ledger):
                ledger.forget()
            raise DeploymentError(f"{error}\nWhat this attempt had made is removed") from error


def _outdated(ledger: Ledger, plan: Blueprint) -> list[Resource]:
    """Return what neither the release of this plan needs nor, for a rollback, the one before it."""
    current = ledger.current
    is_out = current is not None and current.facts == plan.facts
    before = ledger.previous if is_out else current
    needed = {each.name for each in plan.parts} | set(before.facts.values() if before else ())
    return [each for each in ledger.resources if each.kind in PASSING and each.name not in needed]
