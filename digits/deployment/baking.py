"""Which image a container of one deployment starts from, and how it is made."""

from __future__ import annotations

from digits.contract.pointer import Pointed
from digits.deployment import images
from digits.deployment.engine import Engine
from digits.deployment.ledger import Ledger, Release
from digits.deployment.target import Step
from digits.errors import DeploymentError

KIND = "image"


class Baking:
    """The images of a deployment.

    Args:
        engine: that has them.
        name: of the deployment.
        image: that is built already; None: it is built from docker/.
        with_model: whether each version has an image of its own.
    """

    def __init__(self, engine: Engine, name: str, image: str | None, *, with_model: bool) -> None:
        self._engine, self._image, self._with_model = engine, image, with_model
        self._named = f"{name}-model"

    def find(self, model: Pointed) -> tuple[str | None, list[Step]]:
        """Return the digest of the image for a model, and how to get one where there is none.

        Raises:
            DeploymentError: the image that was named is not on the engine.
        """
        image, steps = self._base(), []
        if image is None:
            steps.append(Step("create", f"image {images.tag_of()}", "from docker/: a minute"))
        elif self._with_model:
            image = self._engine.image_id(self._tag(model, image))
        if self._with_model and image is None:
            steps.append(Step("create", f"image {self._named}", f"with {model.version}"))
        return image, steps

    def make(self, model: Pointed, ledger: Ledger) -> tuple[str, list[Step]]:
        """Return the digest of the image for a model, made where there is none.

        Raises:
            DeploymentError: it cannot be built.
        """
        steps = []
        image = self._base()
        if image is None:
            ledger.making(KIND, images.tag_of())
            image = images.build(self._engine)
            steps.append(Step("create", f"image {images.tag_of()}"))
        if not self._with_model:
            return image, steps
        tag = self._tag(model, image)
        found = self._engine.image_id(tag)
        if found is None:
            ledger.making(KIND, tag)
            version = "" if model.number is None else model.version
            base = self._image or images.tag_of()
            found = images.add_model(self._engine, base, tag, model.folder, version)
            steps.append(Step("create", f"image {tag}", f"with {model.version}"))
        return found, steps

    def tidy(self, ledger: Ledger) -> None:
        """Remove the models' images that neither what is out nor the version before needs."""
        used = {each.facts["image"] for each in (ledger.current, ledger.previous) if each}
        for each in ledger.resources:
            is_model = each.kind == KIND and each.name.startswith(f"{self._named}:")
            is_free = is_model and self._engine.image_id(each.name) not in used
            if is_free and self._engine.remove_image(each.name):
                ledger.gone(each)

    def _base(self) -> str | None:
        if self._image is None:
            return self._engine.image_id(images.tag_of())
        found = self._engine.image_id(self._image)
        if found is None:
            told = "pull or build it, or leave out deployment.image"
            raise DeploymentError(f"The engine has no image {self._image}: {told}")
        return found

    def _tag(self, model: Pointed, image: str) -> str:
        whole = model.manifest_sha256 or model.onnx_sha256
        return f"{self._named}:{whole[:16]}-{image.removeprefix('sha256:')[:12]}"


def release_of(model: Pointed, image: str) -> Release:
    """Return a version as it is put out: with the image that it runs in."""
    return Release(model=model, facts={"image": image})
