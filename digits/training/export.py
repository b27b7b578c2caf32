"""Export a trained classifier to ONNX, and prove that the graph gives the same answers."""

from __future__ import annotations

import copy
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

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
    plain = copy.deepcopy(network).cpu()
    plain.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # no stub
    model = Inference(plain, mean=mean, std=std).eval()
    example = torch.zeros(2, 28, 28, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")
        torch.onnx.export(
            model,
            (example,),
            file,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def onnx_answers(file: Path, images: NDArray[np.uint8], batch: int = 1000) -> NDArray[np.float32]:
    """Return the graph's logits float32 ``[N, 10]`` for images uint8 ``[N, 28, 28]``."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
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
