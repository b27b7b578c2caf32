"""Rebuild the trained network of a bundle: its configuration builds it, its weights fill it."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
from omegaconf import OmegaConf

from digits.config.instantiate import instantiate
from digits.contract.manifest import CONFIG, WEIGHTS, Manifest
from digits.errors import RegistryError
from digits.models.inference import Inference


def trained_network(folder: Path, manifest: Manifest) -> Inference:
    """Return the network of a verified bundle in evaluation mode, its weights without gradient.

    Raises:
        RegistryError: the bundle does not say how its network is built, or the weights are not
            those of such a network.
    """
    if CONFIG not in manifest.files:
        raise RegistryError(
            f"{folder} has no {CONFIG}: it is of an older version and can only be run as ONNX. "
            f"Train it again to get one that has"
        )
    network = instantiate(OmegaConf.load(folder / CONFIG).model)
    try:
        safetensors.torch.load_model(network, str(folder / WEIGHTS))
    except (RuntimeError, safetensors.SafetensorError) as error:
        first = str(error).splitlines()[0]
        raise RegistryError(f"{folder / WEIGHTS} does not fit its {CONFIG}: {first}") from error
    standard = manifest.preprocess()
    model = Inference(network, mean=standard.mean, std=standard.std).eval()
    return model.requires_grad_(False)
