"""What a run's numbers depend on besides code, data and configuration: machine and libraries."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version

#: what computes, in the order it is told: a digit of any of them may change the last bit
LIBRARIES = (
    "torch",
    "pytorch-lightning",
    "numpy",
    "albumentations",
    "albucore",
    "opencv-python-headless",
    "scipy",
    "scikit-learn",
    "pillow",
    "onnx",
    "onnxscript",
    "onnxruntime",
)

PYTHON_TAG = "digits.python"
PROCESSOR_TAG = "digits.processor"
LIBRARIES_TAG = "digits.libraries"
THREADS_TAG = "digits.threads"
DEVICE_TAG = "digits.device"


def environment() -> dict[str, str]:
    """Return the tags of every run that are known when it starts; nothing is imported for them."""
    return {
        PYTHON_TAG: platform.python_version(),
        PROCESSOR_TAG: processor(),
        LIBRARIES_TAG: json.dumps(libraries()),
    }


def libraries() -> dict[str, str]:
    """Return name -> version of the libraries that compute, as far as they are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def processor(cpuinfo: str = "/proc/cpuinfo") -> str:
    """Return the processor's name and architecture: ``AMD EPYC 7R13 Processor, x86_64``."""
    try:
        with open(cpuinfo, encoding="utf-8") as lines:  # noqa: PTH123 (only its first lines)
            entries = (line.partition(":") for line in lines)
            name = next(value.strip() for key, _, value in entries if key.strip() == "model name")
    except (OSError, StopIteration):
        name = platform.processor() or "unknown processor"
    return f"{name}, {platform.machine()}"
