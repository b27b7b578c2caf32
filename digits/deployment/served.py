"""A folder that a container reads: bundles, and the pointer that says which of them answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from digits.contract.files import appearing
from digits.contract.manifest import MANIFEST, Manifest
from digits.contract.pointer import Pointed, Pointer
from digits.errors import RegistryError

POINTER = "pointer.json"
MODELS = "models"


class Served:
    """Bundles as copies that everybody may read: the container's user is not ours.

    Args:
        folder: here.
        inside: the same folder, as the container sees it.
    """

    def __init__(self, folder: Path, inside: str) -> None:
        self.folder, self.inside = folder, Path(inside)

    def points_to(self, model: Pointed) -> bool:
        """Tell whether this model is the one that answers."""
        try:
            return Pointer.read(self.folder / POINTER).champion == self._inside(model)
        except RegistryError:
            return False

    def point_to(self, model: Pointed) -> None:
        """Let this model answer; whoever reads the pointer finds the old one or this one.

        Raises:
            RegistryError: neither a copy nor the bundle itself is there.
        """
        place = self.folder / MODELS / _key(model)
        if not place.is_dir():
            names = [MANIFEST, *Manifest.read(model.folder).files]
            with appearing(place) as draft:
                for name in names:
                    shutil.copyfile(model.folder / name, draft / name)
                    (draft / name).chmod(0o644)
                draft.chmod(0o755)
        for each in (self.folder, place.parent):  # whatever our umask is
            each.chmod(0o755)
        Pointer(champion=self._inside(model)).write(self.folder / POINTER)

    def keep(self, models: Iterable[Pointed]) -> None:
        """Remove the copies of all others."""
        kept = {_key(model) for model in models}
        for place in (self.folder / MODELS).glob("[!.]*"):
            if place.name not in kept:
                shutil.rmtree(place)

    def _inside(self, model: Pointed) -> Pointed:
        place = self.inside / MODELS / _key(model)
        return model.model_copy(update={"folder": place, "alias": None})


def _key(model: Pointed) -> str:
    return (model.manifest_sha256 or model.onnx_sha256)[:16]
