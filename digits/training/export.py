"""Export a trained classifier to ONNX, and prove that the graph gives the same answers."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from digits.errors import ExportError
from digits.models.inference import Inference

# The exporter names torchvision's operators on every start, wanted or not.
logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
# What each rewriting of the graph did, at INFO: pages of it where the root logger shows INFO.
for _name in ("onnxscript", "onnx_ir"):
    logging.getLogger(_name).setLevel(logging.WARNING)

INPUT, OUTPUT = "pixels", "logits"
TOLERANCE = 1e-3  # of the largest logit, at least of 1; kernels of two libraries differ by 1e-5


@dataclass(frozen=True)
class Parity:
    """How far the graph is from the network on ``count`` images.

    Attributes:
        largest_difference: largest absolute difference of any logit.
        disagreements: images on which the two name another digit.
    """

    count: int
    largest_difference: float
    disagreements: int


def to_onnx(network: nn.Module, *, mean: float, std: float, file: Path) -> None:
    """Write ``pixels`` uint8 ``[batch, 28, 28]`` -> ``logits`` float32 ``[batch, 10]``.

    The standardisation is part of the graph; the batch size is free.
    """
    example = torch.zeros(2, 28, 28, dtype=torch.uint8)
    model = for_inference(network, mean=mean, std=std)
    write_graph(model, {INPUT: example}, [OUTPUT], file)


def for_inference(network: nn.Module, *, mean: float, std: float) -> Inference:
    """Return a copy on the CPU in evaluation mode, from pixels to logits."""
    plain = copy.deepcopy(network).cpu()
    plain.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # no stub
    return Inference(plain, mean=mean, std=std).eval()


def write_graph(
    model: nn.Module, examples: Mapping[str, Tensor], outputs: Sequence[str], file: Path
) -> None:
    """Write ``model`` as one ONNX file; the first size of every input is the batch, and is free.

    Args:
        model: in evaluation mode.
        examples: name -> a value, of each input in the order of ``forward``.
        outputs: their names.
        file: is written.
    """
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")
        # Two inputs are of one batch.
        warnings.filterwarnings("ignore", message=r".*The axis name: batch will not be used.*")
        torch.onnx.export(
            model,
            tuple(examples.values()),
            file,
            input_names=list(examples),
            output_names=list(outputs),
            dynamic_shapes=tuple({0: batch} for _ in examples),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def open_graph(file: Path) -> onnxruntime.InferenceSession:
    """Load an ONNX file; only errors are printed."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def onnx_answers(file: Path, images: NDArray[np.uint8], batch: int = 1000) -> NDArray[np.float32]:
    """Return the graph's logits float32 ``[N, 10]`` for images uint8 ``[N, 28, 28]``."""
    session = open_graph(file)
    starts = range(0, len(images), batch)
    return np.concatenate(
        [session.run([OUTPUT], {INPUT: images[start : start + batch]})[0] for start in starts]
    )


def check_parity(torch_logits: NDArray[np.float32], onnx_logits: NDArray[np.float32]) -> Parity:
    """Compare the two paths' logits float32 ``[N, 10]`` on the same images.

    Raises:
        ExportError: a logit differs by more than 1e-3 of the largest, or an answer changes.
    """
    parity = Parity(
        count=len(torch_logits),
        largest_difference=float(np.abs(torch_logits - onnx_logits).max()),
        disagreements=int((torch_logits.argmax(1) != onnx_logits.argmax(1)).sum()),
    )
    tolerance = TOLERANCE * max(1.0, float(np.abs(torch_logits).max()))
    # "not <=" rather than ">": a NaN is no agreement.
    if not parity.largest_difference <= tolerance or parity.disagreements:
        raise ExportError(
            f"the ONNX graph is not the network: logits differ by up to "
            f"{parity.largest_difference:.2g}, {parity.disagreements} of {parity.count} answers "
            f"change. Nothing was registered."
        )
    return parity
