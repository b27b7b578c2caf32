"""From the dotted name of a ``_target_`` to the object, or to a sentence why not."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from types import ModuleType
from typing import Any

from digits.config.suggestion import one_line, suggestion

# The extra that brings a library which only some tasks need.
EXTRAS = {
    "numpy": "train",
    "scipy": "train",
    "matplotlib": "train",
    "PIL": "train",
    "requests": "train",
    "safetensors": "train",
    "sqlalchemy": "train",
    "torch": "train",
    "torchvision": "train",
    "pytorch_lightning": "train",
    "lightning_fabric": "train",
    "albumentations": "train",
    "cv2": "train",
    "sklearn": "train",
    "mlflow": "train",
    "onnx": "train",
    "onnxruntime": "serve",
    "fastapi": "serve",
    "uvicorn": "serve",
    "captum": "explain",
    "ray": "tune",
    "optuna": "tune",
    "evidently": "monitor",
    "feast": "features",
    "pyarrow": "features",
    "kfp": "pipelines",
    "boto3": "aws",
    "sagemaker": "aws",
}


class TargetError(Exception):
    """A ``_target_`` that leads nowhere; the message says why."""


def locate(dotted: str) -> Any:
    """Import and return the object that ``dotted`` names.

    Raises:
        TargetError: no such module or name (with near ones), or the module does not import
            (with the cause, or with the extra that is not installed).
    """
    parts = dotted.split(".")
    if not all(part.isidentifier() for part in parts):
        raise TargetError(f"{dotted!r} is not a dotted name such as package.module.Class")
    module = _import(parts[0], dotted)
    found: Any = module
    for depth in range(1, len(parts)):
        name = parts[depth]
        if hasattr(found, name):
            found = getattr(found, name)
        elif isinstance(found, ModuleType) and _exists(".".join(parts[: depth + 1])):
            found = _import(".".join(parts[: depth + 1]), dotted)
        else:
            raise TargetError(_no_such_name(found, ".".join(parts[:depth]), name))
    return found


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _import(module: str, dotted: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if missing == module:
            names = [found.name for found in pkgutil.iter_modules()] if "." not in module else []
            hint = suggestion(module, [name for name in names if not name.startswith("_")])
            if module in EXTRAS:
                raise TargetError(_needs(missing)) from error
            raise TargetError(f"{dotted}: there is no module {module}{hint}") from error
        raise TargetError(
            _needs(missing)
            if missing.split(".")[0] in EXTRAS
            else f"{dotted} cannot be imported: {one_line(error)}"
        ) from error
    except Exception as error:
        # Importing runs the module: whatever it raises is why the target cannot be had.
        cause = f"{type(error).__name__}: {one_line(error)}"
        raise TargetError(f"{dotted} cannot be imported: {cause}") from error


def _needs(module: str) -> str:
    package = module.split(".")[0]
    extra = EXTRAS[package]
    return f"needs the extra '{extra}' ({package} is not installed): scripts/bootstrap {extra}"


def _no_such_name(owner: Any, path: str, name: str) -> str:
    known = [each for each in dir(owner) if not each.startswith("_")]
    if isinstance(owner, ModuleType) and hasattr(owner, "__path__"):
        known += [found.name for found in pkgutil.iter_modules(owner.__path__)]
    near = suggestion(name, known)
    return f"{path} has no {name}{near}"
