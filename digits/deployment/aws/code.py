"""What a function at AWS Lambda runs: a zip file at S3, or an image at ECR."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, Protocol

from digits.contract.manifest import MANIFEST, sha256_of
from digits.contract.pointer import Pointed
from digits.deployment import images
from digits.deployment.aws.ecr import Image, Repository
from digits.deployment.aws.package import Package
from digits.deployment.aws.parts import Part
from digits.deployment.aws.session import Session
from digits.deployment.aws.storage import Bucket, Object
from digits.deployment.engine import Engine
from digits.errors import DeploymentError


class Code(Protocol):
    """What a function runs.

    Attributes:
        kind: as Lambda calls it.
        key: names what is in it.
        parts: what has to be there before the function.
    """

    kind: Literal["Zip", "Image"]
    key: str
    parts: Sequence[Part]

    def arguments(self) -> dict[str, str]:
        """Return it as ``CreateFunction`` takes it; the parts have to be there."""


class ZipFile:
    """A zip file in a bucket: most are too large for Lambda to take them directly.

    Args:
        aws: where.
        name: of the function.
        package: what it is made of.
    """

    kind: Literal["Zip", "Image"] = "Zip"

    def __init__(self, aws: Session, name: str, package: Package) -> None:
        self.key = package.key
        self._bucket = f"{name}-code-{aws.account}-{aws.region}"
        self._object = f"{self.key}.zip"
        self.parts: Sequence[Part] = (
            Bucket(aws, self._bucket),
            _Built(aws, self._bucket, self._object, package),
        )

    def arguments(self) -> dict[str, str]:
        """See :class:`Code`."""
        return {"S3Bucket": self._bucket, "S3Key": self._object}


class _Built(Object):
    """A file that is built when it is not there."""

    def __init__(self, aws: Session, bucket: str, key: str, package: Package) -> None:
        super().__init__(aws, bucket, key, b"")
        self._package = package
        self.detail = f"the function as a zip file, {package.state}"

    def make(self) -> None:
        """See :meth:`Part.make`."""
        self._content = self._package.build()
        super().make()


class ContainerImage:
    """The image of docker/'s target ``lambda`` with a model in it, in a repository.

    Args:
        aws: where.
        name: of the function.
        image: that is built already; None: it is built from docker/.
        model: that is put into it.
        registry: of a stand-in, see :class:`digits.deployment.aws.ecr.Image`.

    Raises:
        DeploymentError: no Docker engine answers, or it has not the image that is named.
    """

    kind: Literal["Zip", "Image"] = "Image"

    def __init__(
        self, aws: Session, name: str, image: str | None, model: Pointed, *, registry: str | None
    ) -> None:
        engine = Engine.find()
        base = image or images.tag_of("lambda")
        identity = engine.image_id(image) if image else base
        if identity is None:
            raise DeploymentError(
                f"The engine has no image {image}: pull or build it, or leave out deployment.image"
            )
        manifest = sha256_of(model.folder / MANIFEST)
        told = f"{identity}\n{manifest}\n{model.version}"
        self.key = hashlib.sha256(told.encode()).hexdigest()[:24]
        self._image = _WithModel(
            aws,
            f"{name}-function",
            base,
            model,
            tag=self.key,
            engine=engine,
            registry=registry,
        )
        self.parts: Sequence[Part] = (
            Repository(aws, f"{name}-function", reader="lambda"),
            self._image,
        )

    def arguments(self) -> dict[str, str]:
        """See :class:`Code`."""
        return {"ImageUri": self._image.uri}


class _WithModel(Image):
    """An image that is built, and removed here again, when it is not there."""

    def __init__(
        self,
        aws: Session,
        repository: str,
        base: str,
        model: Pointed,
        *,
        tag: str,
        engine: Engine,
        registry: str | None,
    ) -> None:
        local = f"{repository}-with-model:{tag}"
        super().__init__(aws, repository, local, tag=tag, engine=engine, registry=registry)
        self._base, self._model = base, model
        self.detail = f"{base} with {model.version}"

    def make(self) -> None:
        """See :meth:`Part.make`."""
        if self._engine.image_id(self._base) is None:
            images.build(self._engine, "lambda")
        model = self._model
        images.add_model(self._engine, self._base, self._image, model.folder, model.version)
        try:
            super().make()
        finally:
            self._engine.run("rmi", self._image)
