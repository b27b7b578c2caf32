"""Images at Amazon ECR: a private repository, and images that are named by their content."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from digits.deployment.aws.faults import AwsError, explained, missing_is_fine
from digits.deployment.aws.iam import VERSION
from digits.deployment.aws.parts import Part, Stand
from digits.deployment.aws.session import Session
from digits.deployment.engine import Engine
from digits.deployment.ledger import Resource
from digits.errors import DeploymentError

REPOSITORY = "ecr-repository"
IMAGE = "ecr-image"
UNTAGGED_DAYS = 7  # until an image that lost its name is removed: nothing runs it
MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
LOOK_SECONDS = 10.0
PUSH_SECONDS = 900.0


class Repository(Part):
    """A repository whose names never change what they mean, scanned and encrypted.

    Args:
        aws: where.
        name: unique in the account and region.
        reader: service of AWS that pulls from it by itself, for example ``lambda``; null: roles do.
    """

    kind = REPOSITORY
    detail = "private, names are never given twice, scanned on push"

    def __init__(self, aws: Session, name: str, *, reader: str | None = None) -> None:
        self._aws, self.name, self._reader = aws, name, reader

    def look(self) -> Stand:
        """See :meth:`Part.look`."""
        ecr = self._aws.client("ecr")
        try:
            with explained():
                ecr.describe_repositories(repositoryNames=[self.name])
        except AwsError as error:
            if error.is_missing:
                return "create"
            raise
        lifecycle = None
        with missing_is_fine():
            found = ecr.get_lifecycle_policy(repositoryName=self.name)
            lifecycle = json.loads(found["lifecyclePolicyText"])
        return "keep" if lifecycle == _lifecycle() else "change"

    def make(self) -> None:
        """See :meth:`Part.make`."""
        ecr = self._aws.client("ecr")
        is_new = self.look() == "create"
        with explained():
            if is_new:
                ecr.create_repository(
                    repositoryName=self.name,
                    imageTagMutability="IMMUTABLE",
                    imageScanningConfiguration={"scanOnPush": True},
                    encryptionConfiguration={"encryptionType": "AES256"},
                    tags=[{"Key": "made-by", "Value": "digits"}],
                )
            if self._reader:
                ecr.set_repository_policy(
                    repositoryName=self.name, policyText=json.dumps(self.policy(self._reader))
                )
            # The last step: what is cut short before it is changed once more.
            ecr.put_lifecycle_policy(
                repositoryName=self.name, lifecyclePolicyText=json.dumps(_lifecycle())
            )

    def policy(self, reader: str) -> dict[str, Any]:
        """Return who may pull, beside roles of the account."""
        statement = {
            "Sid": "Pull",
            "Effect": "Allow",
            "Principal": {"Service": f"{reader}.amazonaws.com"},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Condition": {"StringEquals": {"aws:SourceAccount": self._aws.account}},
        }
        return {"Version": VERSION, "Statement": [statement]}


class Image(Part):
    """An image in a repository, under a name that says what is in it: it is never pushed twice.

    Args:
        aws: where.
        repository: its name.
        image: the image here, by id or name.
        tag: under which it is pushed; made of its content.
        engine: has the image.
        registry: ``host:port`` of a stand-in for ECR's, without TLS and log-in; null: ECR.
    """

    kind = IMAGE
    of_content = True

    def __init__(
        self,
        aws: Session,
        repository: str,
        image: str,
        *,
        tag: str,
        engine: Engine,
        registry: str | None = None,
    ) -> None:
        self._aws, self._repository, self._image = aws, repository, image
        self._tag, self._engine, self._registry = tag, engine, registry
        self.name = f"{repository}:{tag}"
        self.facts = {"repository": repository, "tag": tag}

    @property
    def host(self) -> str:
        """The registry's address."""
        aws = self._aws
        suffix = ".cn" if aws.partition == "aws-cn" else ""
        return self._registry or f"{aws.account}.dkr.ecr.{aws.region}.amazonaws.com{suffix}"

    @property
    def uri(self) -> str:
        """The image by its digest, as services are told; it has to be there.

        Raises:
            DeploymentError: it is not.
        """
        digest = self.digest()
        if digest is None:
            raise DeploymentError(f"{self.host}/{self.name} is not there: action=apply pushes it")
        return f"{self.host}/{self._repository}@{digest}"

    def digest(self) -> str | None:
        """Return ``sha256:...`` of the image in the registry; None where it is not there."""
        if self._registry:
            return self._digest_of_stand_in(self._registry)
        try:
            with explained():
                found = self._aws.client("ecr").describe_images(
                    repositoryName=self._repository, imageIds=[{"imageTag": self._tag}]
                )
        except AwsError as error:
            if error.is_missing:
                return None
            raise
        return str(found["imageDetails"][0]["imageDigest"])

    def look(self) -> Stand:
        """See :meth:`Part.look`."""
        return "create" if self.digest() is None else "keep"

    def make(self) -> None:
        """See :meth:`Part.make`."""
        remote = f"{self.host}/{self.name}"
        # What docker remembers of a log-in goes into a folder that is removed at once; which
        # engine the user has chosen is in their own.
        chosen = self._engine.run("context", "inspect", "-f", "{{.Endpoints.docker.Host}}")
        engine = {"DOCKER_HOST": chosen}
        with tempfile.TemporaryDirectory(prefix="digits-docker-") as config:
            if not self._registry:
                self._log_in(config, engine)
            self._engine.run("tag", self._image, remote)
            try:
                push = ("--config", config, "push", "--quiet", remote)
                self._engine.run(*push, seconds=PUSH_SECONDS, environment=engine)
            finally:
                self._engine.run("rmi", "--no-prune", remote)

    def _log_in(self, config: str, engine: Mapping[str, str]) -> None:
        with explained():
            found = self._aws.client("ecr").get_authorization_token()
        token = base64.b64decode(found["authorizationData"][0]["authorizationToken"])
        user, _, password = token.partition(b":")
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as stdin, os.fdopen(writing, "wb") as pipe:
            pipe.write(password)  # has room in the pipe: nobody reads yet
            pipe.close()
            login = ("--config", config, "login", "--username", user.decode(), "--password-stdin")
            self._engine.run(*login, self.host, stdin=stdin, environment=engine)

    def _digest_of_stand_in(self, registry: str) -> str | None:
        url = f"http://{registry}/v2/{self._repository}/manifests/{self._tag}"
        request = urllib.request.Request(
            url, headers={"Accept": ", ".join(MANIFESTS)}, method="HEAD"
        )
        try:
            with urllib.request.urlopen(request, timeout=LOOK_SECONDS) as found:
                return str(found.headers["Docker-Content-Digest"])
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise DeploymentError(f"{url} answers {error.code}") from error
        except OSError as error:
            raise DeploymentError(f"{url} does not answer: {error}") from error


def remove_repository(aws: Session, resource: Resource) -> None:
    """Remove a repository with all that is in it."""
    with missing_is_fine():
        aws.client("ecr").delete_repository(repositoryName=resource.name, force=True)


def remove_image(aws: Session, resource: Resource) -> None:
    """Remove an image; that of a stand-in's stays there, as registries are."""
    with missing_is_fine():
        aws.client("ecr").batch_delete_image(
            repositoryName=resource.facts["repository"],
            imageIds=[{"imageTag": resource.facts["tag"]}],
        )


def _lifecycle() -> dict[str, Any]:
    rule = {
        "rulePriority": 1,
        "description": "what has no name any more",
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": UNTAGGED_DAYS,
        },
        "action": {"type": "expire"},
    }
    return {"rules": [rule]}
