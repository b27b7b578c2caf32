"""Make a model bundle: the folder that a model version is, whole or not there at all."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow.onnx
import numpy as np
import onnx
import safetensors.torch
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from numpy.typing import NDArray
from torch import nn

from digits.contract.files import appearing, write_atomically
from digits.contract.manifest import (
    CONFIG,
    ONNX,
    SCHEMA_VERSION,
    WEIGHTS,
    Abstention,
    DryRun,
    Manifest,
    sha256_of,
)
from digits.contract.preprocessing import Preprocessing

INPUT: dict[str, Any] = {"name": "pixels", "dtype": "uint8", "shape": [-1, 28, 28]}
OUTPUT: dict[str, Any] = {"name": "logits", "dtype": "float32", "shape": [-1, 10]}


@dataclass(frozen=True)
class Origin:
    """Where a model comes from.

    Attributes:
        run_id: the tracked run that trained it.
        data_name, data_digest: what it learned from.
        metrics: how it did on the held-out split.
    """

    run_id: str
    data_name: str
    data_digest: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Parts:
    """What a bundle carries besides, for serving; each may be lacking.

    Attributes:
        files: those of the optional ones that were made.
        abstention: when the model gives no answer.
        dry_run: a digit with its answer.
    """

    files: Sequence[Path] = ()
    abstention: Abstention | None = None
    dry_run: DryRun | None = None


def write_bundle(
    folder: Path,
    *,
    network: nn.Module,
    graph: Path,
    config: Path,
    example: NDArray[np.uint8],
    preprocessing: Preprocessing,
    origin: Origin,
    temperature: float | None = None,
    parts: Parts | None = None,
) -> Manifest:
    """Write the bundle of a trained network to ``folder`` and return its manifest.

    Args:
        folder: appears complete, or not at all.
        network: its weights are stored as safetensors.
        graph: the ONNX file exported from it.
        config: the canonical configuration that it was built and trained with; its ``model``
            rebuilds the network.
        example: images uint8 ``[n, 28, 28]`` that show what the model takes.
        preprocessing: what stands between any image and the graph's input.
        origin: lineage and held-out metrics.
        temperature: what its logits are to be divided by; None: not calibrated.
        parts: what serving needs besides; None: nothing.
    """
    parts = parts or Parts()
    with appearing(folder) as draft:
        _save_as_mlflow_model(graph, draft, example)
        write_atomically(draft / WEIGHTS, _weights(network))
        write_atomically(draft / CONFIG, config.read_bytes())
        for part in parts.files:
            write_atomically(draft / part.name, part.read_bytes())
        names = [ONNX, WEIGHTS, CONFIG, *(part.name for part in parts.files)]
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            created=datetime.now(UTC),
            labels=[str(digit) for digit in range(10)],
            input=INPUT,
            output=OUTPUT,
            preprocessing=preprocessing.to_dict(),
            files={name: sha256_of(draft / name) for name in names},
            parameters=sum(weights.numel() for weights in network.parameters()),
            data_name=origin.data_name,
            data_digest=origin.data_digest,
            run_id=origin.run_id,
            metrics=dict(origin.metrics),
            temperature=temperature,
            abstention=parts.abstention,
            dry_run=parts.dry_run,
        )
        manifest.write(draft)
    return manifest


def _weights(network: nn.Module) -> bytes:
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    return bytes(safetensors.torch.save(state))


def _save_as_mlflow_model(graph: Path, folder: Path, example: NDArray[np.uint8]) -> None:
    """Let the folder be an MLflow model too, so that ``mlflow.pyfunc`` loads the same version."""
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(INPUT["dtype"]), INPUT["shape"], INPUT["name"])]),
        outputs=Schema([TensorSpec(np.dtype(OUTPUT["dtype"]), OUTPUT["shape"], OUTPUT["name"])]),
    )
    requirements = [f"{name}=={version(name)}" for name in ("onnx", "onnxruntime", "numpy")]
    with warnings.catch_warnings():
        # Type hints of MLflow's own wrapper, checked against a signature that we give.
        warnings.filterwarnings("ignore", category=UserWarning, module="mlflow.*")
        mlflow.onnx.save_model(
            onnx.load(graph),
            str(folder),
            signature=signature,
            input_example={INPUT["name"]: example},
            pip_requirements=requirements,
            save_as_external_data=False,
            onnx_execution_providers=["CPUExecutionProvider"],
        )
