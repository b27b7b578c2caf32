"""Who we are at AWS, and where: one session, its clients made when they are needed.

Credentials come from where boto3 looks for them: the environment, the user's own AWS files, or the
role of the machine. Nothing of ours ever holds them.
"""

from __future__ import annotations

import logging
import os
from functools import cached_property
from typing import Any

from digits.deployment.aws.faults import explained
from digits.deployment.ledger import Ledger
from digits.errors import DeploymentError, MissingExtraError

ACCOUNT = "aws-account"  # the ledger's first line: other credentials would not find what it lists
REGION = "AWS_REGION"  # of every other SDK of AWS; boto3 knows AWS_DEFAULT_REGION alone
RETRIES = 5
CONNECT_SECONDS = 10
READ_SECONDS = 70  # SageMaker gives a container 60 to answer


class Session:
    """An account in a region.

    Args:
        region: null: as AWS_REGION, AWS_DEFAULT_REGION or the user's AWS files say.
        endpoint_url: of a stand-in for all of AWS; null: AWS itself.

    Raises:
        DeploymentError: no region, or a profile that does not exist.
        MissingExtraError: boto3 is not installed.
    """

    def __init__(self, *, region: str | None = None, endpoint_url: str | None = None) -> None:
        try:
            import boto3
        except ModuleNotFoundError as error:
            raise MissingExtraError("aws", "boto3") from error
        # It tells at INFO where it found the credentials, once for each command.
        logging.getLogger("botocore").setLevel(logging.WARNING)
        with explained():
            self._session = boto3.Session(region_name=region or os.environ.get(REGION))
        if self._session.region_name is None:
            raise DeploymentError(
                "No AWS region: type deployment.region=eu-central-1, or set AWS_REGION"
            )
        self._endpoint_url = endpoint_url
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """Return boto3's client of a service, the same each time."""
        from botocore.config import Config

        if service not in self._clients:
            config = Config(
                retries={"mode": "standard", "total_max_attempts": RETRIES},
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
            )
            with explained():
                self._clients[service] = self._session.client(
                    service, endpoint_url=self._endpoint_url, config=config
                )
        return self._clients[service]

    @property
    def region(self) -> str:
        """Where it is."""
        return str(self._session.region_name)

    @property
    def partition(self) -> str:
        """``aws``, or that of China or of a government: the second word of every ARN.

        Raises:
            DeploymentError: AWS has no such region.
        """
        with explained():
            return str(self._session.get_partition_for_region(self.region))

    @cached_property
    def account(self) -> str:
        """The number of the account that the credentials belong to.

        Raises:
            DeploymentError: there are none, or AWS refuses them.
        """
        with explained():
            return str(self.client("sts").get_caller_identity()["Account"])

    @property
    def place(self) -> str:
        """Account and region, as the ledger has them."""
        return f"{self.account}/{self.region}"

    def check_place(self, ledger: Ledger) -> None:
        """Hold the credentials against those that the deployment was made with.

        Raises:
            DeploymentError: what the ledger lists is in another account or region.
        """
        for resource in ledger.resources:
            if resource.kind == ACCOUNT and resource.name != self.place:
                raise DeploymentError(
                    f"This deployment is in {resource.name} (account/region), and the credentials "
                    f"are of {self.place}: use those it was made with, or another "
                    f"deployment.folder"
                )
