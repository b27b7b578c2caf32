"""Trying out what is cheap to build: some values only a third-party constructor can judge."""

from __future__ import annotations

import contextlib
import functools
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from digits.config.allowed import Slot, slot_of
from digits.config.instantiate import explain, instantiate
from digits.config.suggestion import one_line
from digits.config.tree import Reader
from digits.errors import ConfigError, DigitsError, Finding

# What a scheduler is told about the training in a trial.
STEPS = {"total_steps": 10, "steps_per_epoch": 5}

# What the values of augmented images may be.
PIXELS = ("uint8 ", "float32 ")

# Parts of a Trainer that write or talk, and that a trial can do without.
SILENT = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def try_out(
    config: DictConfig,
    reader: Reader,
    slots: Sequence[Slot] | None = None,
    *,
    elsewhere: bool = False,
) -> Iterator[Finding]:
    """Yield what the constructors of ``config``'s nodes complain about, where a slot has a probe.

    The tree must be free of other faults. Each node is built from small stand-ins, in silence.
    With ``elsewhere``, hardware that this machine lacks is no fault.
    """
    for key in reader.nodes:
        probe = slot_of(key, slots).probe
        if probe is None:
            continue
        trial = _Trial(config, reader, slots, elsewhere=elsewhere)
        try:
            with _quiet():
                PROBES[probe](trial, key)
        except _NotPossibleError:
            continue
        except ConfigError as error:
            yield from error.findings
        except DigitsError as error:
            yield Finding(key, str(error))
        except Exception as error:
            # Whatever a constructor raises is what it has to say about its arguments.
            yield from explain(key, error, reader.nodes[key])


class _NotPossibleError(Exception):
    """A trial cannot be made, for a reason that is reported elsewhere or is no fault."""


class _Trial:
    def __init__(
        self,
        config: DictConfig,
        reader: Reader,
        slots: Sequence[Slot] | None,
        *,
        elsewhere: bool,
    ) -> None:
        self.config = config
        self.reader = reader
        self.slots = slots
        self.elsewhere = elsewhere

    def build(self, key: str) -> Any:
        return instantiate(OmegaConf.select(self.config, key), _slots_=self.slots)

    def optimizer(self, key: str) -> Any:
        import torch

        made = self.build(key)
        return made([torch.nn.Parameter(torch.zeros(1))]) if _is_deferred(made) else made

    def scheduler(self, key: str) -> Any:
        from digits.config.signatures import signature_of

        made = self.build(key)
        if not _is_deferred(made):
            return made
        signature = signature_of(made.func)
        known = signature.parameters if signature else {}
        steps = {name: count for name, count in STEPS.items() if name in known}
        return made(self._any_optimizer(), **{**steps, **made.keywords})

    def _any_optimizer(self) -> Any:
        import torch

        key = next(
            (key for key in self.reader.nodes if slot_of(key, self.slots).probe == "optimizer"),
            None,
        )
        if key is None:
            return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        try:
            return self.optimizer(key)
        except Exception as error:
            raise _NotPossibleError from error

    def trainer(self, key: str) -> Any:
        if any(other.startswith(f"{key}.") for other in self.reader.nodes):
            # Loggers and callbacks inside it would be built too, and some of them write.
            raise _NotPossibleError
        if self.elsewhere and _is_absent(OmegaConf.select(self.config, f"{key}.accelerator")):
            raise _NotPossibleError
        made = instantiate(OmegaConf.select(self.config, key), _slots_=self.slots, **SILENT)
        return made() if _is_deferred(made) else made

    def model(self, key: str) -> None:
        import torch

        with torch.random.fork_rng(devices=[]):
            self._classify(key, self.build(key))

    def _classify(self, key: str, made: Any) -> None:
        import torch

        if not isinstance(made, torch.nn.Module):
            raise _NotPossibleError
        if next(made.parameters(), None) is None:
            raise ConfigError([Finding(key, "has no weights that could be trained")])
        images = torch.zeros(2, 1, 28, 28)
        try:
            with torch.inference_mode():
                answer = made.eval()(images)
        except Exception as error:
            # What a forward pass says is about sizes between layers, never about one argument.
            message = f"cannot take images [2, 1, 28, 28]: {one_line(error)}"
            raise ConfigError([Finding(key, message)]) from error
        if _shape(answer) != (2, 10):
            message = f"must make logits [2, 10] of images [2, 1, 28, 28], not {_kind(answer)}"
            raise ConfigError([Finding(key, message)])

    def augmentation(self, key: str) -> None:
        import numpy as np

        made = self.build(key)
        # Several epochs: a step may leave some of them alone.
        for epoch in range(4):
            keys = [(0, epoch, index) for index in (0, 1)]
            pixels = made(np.zeros((2, 28, 28), np.uint8), keys)
            is_sound = _shape(pixels) == (2, 28, 28) and _kind(pixels).startswith(PIXELS)
            if not (is_sound and pixels.min() >= 0 and pixels.max() <= 255):
                message = "must keep images [2, 28, 28] of uint8 or float32 in 0..255, not make "
                found = f"{_kind(pixels)} in {float(pixels.min()):g}..{float(pixels.max()):g}"
                raise ConfigError([Finding(key, message + found)])


PROBES: dict[str, Callable[[_Trial, str], Any]] = {
    "build": _Trial.build,
    "optimizer": _Trial.optimizer,
    "scheduler": _Trial.scheduler,
    "trainer": _Trial.trainer,
    "model": _Trial.model,
    "augmentation": _Trial.augmentation,
}


def _is_absent(accelerator: Any) -> bool:
    """Tell whether this is a kind of hardware that Lightning knows and this machine lacks."""
    from pytorch_lightning.accelerators import AcceleratorRegistry

    kinds = ("cuda", "mps") if accelerator == "gpu" else (accelerator,)
    known = [kind for kind in kinds if kind in AcceleratorRegistry]
    present = [kind for kind in known if AcceleratorRegistry.get(kind).is_available()]
    return bool(known) and not present


def _shape(array: Any) -> tuple[int, ...] | None:
    return tuple(array.shape) if hasattr(array, "shape") else None


def _kind(array: Any) -> str:
    """Say what an answer is: ``float32 [2, 10]``."""
    shape = _shape(array)
    if shape is None:
        return type(array).__name__
    return f"{str(array.dtype).removeprefix('torch.')} {list(shape)}"


def _is_deferred(made: Any) -> bool:
    return isinstance(made, functools.partial)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence logs and warnings; Albumentations' warning of an argument it drops is an error."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message=".*not valid", category=UserWarning)
            yield
    finally:
        logging.disable(level)
