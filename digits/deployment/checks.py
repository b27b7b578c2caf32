"""What is looked at before anything is made, alike for every target that copies the bundle."""

from __future__ import annotations

from pathlib import Path

from digits.contract.manifest import ONNX, Manifest, verify
from digits.deployment.ledger import Ledger
from digits.errors import DeploymentError


def check_bundle(folder: Path) -> Manifest:
    """Return the manifest of a whole bundle that can be deployed.

    Raises:
        DeploymentError: it has no network in ONNX.
        RegistryError: it is damaged.
    """
    manifest = verify(folder)
    if ONNX not in manifest.files:
        raise DeploymentError(
            f"{folder} has no {ONNX}, and nothing else can be deployed: train or register the "
            f"model with this version of Digits"
        )
    return manifest


def check_folder(folder: Path) -> None:
    """Leave a folder alone that holds something else: ours is removed whole.

    Raises:
        DeploymentError: it does.
    """
    if folder.is_dir() and any(folder.iterdir()) and not Ledger(folder):
        raise DeploymentError(
            f"{folder} holds something else than a deployment: choose another folder as "
            f"deployment.folder"
        )
