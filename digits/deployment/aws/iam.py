"""What a deployment may do at AWS: one role, with one policy that lists it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from digits.deployment.aws.faults import AwsError, explained, missing_is_fine
from digits.deployment.aws.parts import Part, Stand
from digits.deployment.aws.session import Session
from digits.deployment.ledger import Resource

ROLE = "iam-role"
POLICY = "digits"  # the one policy of the role, within it
VERSION = "2012-10-17"  # of the policy language

Statement = Mapping[str, Any]


class Role(Part):
    """A role that one service of AWS takes on, and nobody else.

    Args:
        aws: where.
        name: unique in the account.
        service: who takes it on, for example ``lambda``.
        statements: what it may do; each with Effect, Action and Resource.
        only_if: conditions under which it may be taken on, as IAM writes them.
    """

    kind = ROLE

    def __init__(
        self,
        aws: Session,
        name: str,
        *,
        service: str,
        statements: Sequence[Statement],
        only_if: Mapping[str, Any] | None = None,
    ) -> None:
        self._aws, self.name = aws, name
        self._service = service
        self._statements = [dict(each) for each in statements]
        self._only_if = only_if
        allowed = sorted({action for each in statements for action in _listed(each["Action"])})
        self.detail = f"may {', '.join(allowed)}"

    @property
    def arn(self) -> str:
        """Its full name."""
        return f"arn:{self._aws.partition}:iam::{self._aws.account}:role/{self.name}"

    def trust(self) -> dict[str, Any]:
        """Return who may take it on."""
        statement: dict[str, Any] = {
            "Effect": "Allow",
            "Principal": {"Service": f"{self._service}.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        if self._only_if:
            statement["Condition"] = dict(self._only_if)
        return {"Version": VERSION, "Statement": [statement]}

    def policy(self) -> dict[str, Any]:
        """Return what it may do."""
        return {"Version": VERSION, "Statement": self._statements}

    def look(self) -> Stand:
        """See :meth:`Part.look`."""
        iam = self._aws.client("iam")
        try:
            with explained():
                trust = iam.get_role(RoleName=self.name)["Role"]["AssumeRolePolicyDocument"]
        except AwsError as error:
            if error.is_missing:
                return "create"
            raise
        policy = None
        with missing_is_fine():
            found = iam.get_role_policy(RoleName=self.name, PolicyName=POLICY)
            policy = found["PolicyDocument"]
        return "keep" if (trust, policy) == (self.trust(), self.policy()) else "change"

    def make(self) -> None:
        """See :meth:`Part.make`."""
        iam, trust = self._aws.client("iam"), json.dumps(self.trust())
        is_new = self.look() == "create"
        with explained():
            if is_new:
                iam.create_role(
                    RoleName=self.name,
                    AssumeRolePolicyDocument=trust,
                    Description="What a deployment of Digits may do",
                    Tags=[{"Key": "made-by", "Value": "digits"}],
                )
                iam.get_waiter("role_exists").wait(RoleName=self.name)
            else:
                iam.update_assume_role_policy(RoleName=self.name, PolicyDocument=trust)
            iam.put_role_policy(
                RoleName=self.name, PolicyName=POLICY, PolicyDocument=json.dumps(self.policy())
            )


def remove_role(aws: Session, resource: Resource) -> None:
    """Remove a role with its policy."""
    iam = aws.client("iam")
    with missing_is_fine():
        iam.delete_role_policy(RoleName=resource.name, PolicyName=POLICY)
    with missing_is_fine():
        iam.delete_role(RoleName=resource.name)


def _listed(actions: str | Sequence[str]) -> Sequence[str]:
    return [actions] if isinstance(actions, str) else actions
