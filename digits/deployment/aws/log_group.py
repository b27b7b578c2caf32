"""Where a function writes its log at Amazon CloudWatch."""

from __future__ import annotations

from digits.deployment.aws.faults import explained, missing_is_fine
from digits.deployment.aws.parts import Part, Stand
from digits.deployment.aws.session import Session
from digits.deployment.ledger import Resource

LOG = "log-group"


class LogGroup(Part):
    """Where the function's log goes, and how long it is kept.

    Args:
        aws: where.
        function: its name.
        days: that are kept.
    """

    kind = LOG

    def __init__(self, aws: Session, function: str, days: int) -> None:
        self._aws, self._days = aws, days
        self.name = f"/aws/lambda/{function}"
        self.detail = f"kept for {days} days"

    @property
    def arn(self) -> str:
        """Its full name."""
        aws = self._aws
        return f"arn:{aws.partition}:logs:{aws.region}:{aws.account}:log-group:{self.name}"

    def look(self) -> Stand:
        """See :meth:`Part.look`."""
        with explained():
            found = self._aws.client("logs").describe_log_groups(logGroupNamePrefix=self.name)
        for each in found["logGroups"]:
            if each["logGroupName"] == self.name:
                return "keep" if each.get("retentionInDays") == self._days else "change"
        return "create"

    def make(self) -> None:
        """See :meth:`Part.make`."""
        logs = self._aws.client("logs")
        if self.look() == "create":
            with explained():
                logs.create_log_group(logGroupName=self.name, tags={"made-by": "digits"})
        with explained():
            logs.put_retention_policy(logGroupName=self.name, retentionInDays=self._days)


def remove_log(aws: Session, resource: Resource) -> None:
    """Remove a log with all that is in it."""
    with missing_is_fine():
        aws.client("logs").delete_log_group(logGroupName=resource.name)
