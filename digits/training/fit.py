"""Fit a classifier with Lightning, and ask it for its answers."""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint, WeightAveraging

from digits.models.classifier import DigitClassifier
from digits.training.callbacks import History, Waiting
from digits.training.checkpoints import DurableCheckpoints
from digits.training.trial import ReportToSearch
from hydra_plugins.ray_tune_sweeper.session import Trial

log = logging.getLogger(__name__)

# Lightning's notes on which accelerators exist, and its advertisement, on every start.
logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
# Its note on the rank and the visible GPUs, of a single process too.
logging.getLogger("pytorch_lightning.accelerators.cuda").setLevel(logging.WARNING)

LIBRARY_NOISE = (
    # Advice for large data on many cores; the loaders here are sized on purpose.
    ".*does not have many workers.*",
    ".*The number of training batches.*",
    # Data without a validation part; an empty training split is refused by the data module.
    ".*Total length of .* across ranks is zero.*",
    # A deprecation inside torch that Lightning's use of pytrees triggers.
    r".*isinstance\(treespec, LeafSpec\).*",
    # The folder exists because the run that is resumed made it.
    ".*Checkpoint directory .* exists and is not empty.*",
)

MakeTrainer = Callable[..., pl.Trainer]


@dataclass(frozen=True)
class Fitted:
    """What a training leaves besides the trained weights.

    Attributes:
        epochs: metrics of each epoch.
        images: training images seen, over all epochs and processes.
        seconds: wall time of ``fit``, imports and data loading excluded; of a resumed run with
            the time up to its checkpoint.
        waiting: share of the training that waited for data, 0..1.
        checkpoint: the last checkpoint; None when none was asked for.
        device: what computed: ``cpu``, or the name of the GPU.
    """

    epochs: Sequence[Mapping[str, float]]
    images: int
    seconds: float
    waiting: float
    checkpoint: Path | None
    device: str

    @property
    def selected(self) -> float:
        """Accuracy on validation (on training where there is none): what a sweep selects by."""
        last = self.epochs[-1]
        return last.get("validation/accuracy", last["train/accuracy"])


def fit(
    classifier: DigitClassifier,
    data: pl.LightningDataModule,
    *,
    trainer: MakeTrainer,
    callbacks: Sequence[pl.Callback],
    history: History,
    folder: Path,
    resume: bool = False,
    trial: Trial | None = None,
    announce: bool = True,
) -> Fitted:
    """Train ``classifier`` in place; with ``resume``, from the last checkpoint if there is one.

    With ``announce`` the log says what computes. A ``trial`` hears of every epoch, may end the
    training, and says which checkpoint it goes on from.

    Raises:
        KeyboardInterrupt: the user stopped it; Lightning itself would exit with status 1.
    """
    waiting = Waiting()
    torch.set_num_threads(threads_beside(workers_of(data)))
    start = _checkpoint(callbacks) if resume else None
    reports: list[pl.Callback] = []
    if trial is not None:
        start = trial.checkpoint
        reports = [ReportToSearch(trial, history, lambda: _checkpoint(callbacks))]
    with warnings.catch_warnings():
        for message in LIBRARY_NOISE:
            warnings.filterwarnings("ignore", message=message)
        built = trainer(
            callbacks=[history, *callbacks, *reports],
            plugins=[DurableCheckpoints()],
            logger=False,
            profiler=waiting,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=any(isinstance(c, Checkpoint) for c in callbacks),
            default_root_dir=folder,
        )
        log.log(
            logging.INFO if announce else logging.DEBUG,
            "Training on %s with precision %s and %d threads.",
            built.strategy.root_device.type,
            built.precision,
            torch.get_num_threads(),
        )
        try:
            with _interruptible():
                built.fit(classifier, datamodule=data, ckpt_path=start, weights_only=True)
        finally:
            data.teardown("fit")  # Lightning leaves that out when the training fails
    if not history.trained:
        _take_averages(callbacks, built, classifier)
    classifier.float()  # trainer.precision may have made the weights another type
    return Fitted(
        epochs=history.epochs,
        images=history.images,
        seconds=history.seconds,
        waiting=waiting.share,
        checkpoint=_checkpoint(callbacks),
        device=_name(built.strategy.root_device),
    )


def workers_of(data: pl.LightningDataModule) -> int:
    """Return how many processes prepare batches beside the training."""
    return int(getattr(data, "num_workers", 0))


def threads_beside(workers: int) -> int:
    """Return with how many threads to compute: as many as there are cores beside the workers.

    Threads of one operation wait for each other: where one of them shares its core with a busy
    worker, all are as slow as that one, and two can take three times as long as one alone.
    ``OMP_NUM_THREADS``, where it is set, may lower the number further.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(torch.get_num_threads(), (cores or 1) - workers))


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C out as what it is; Lightning exits with status 1 and leaves Ctrl-C ignored."""
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from stop
        raise
    finally:
        # Only the main thread may; Lightning leaves the handlers alone in any other.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, interrupt)


def _take_averages(
    callbacks: Sequence[pl.Callback], trainer: pl.Trainer, classifier: DigitClassifier
) -> None:
    """Finish a run that was killed after its last epoch.

    Lightning then skips the hook in which averaged weights replace the ones last trained.
    """
    for callback in callbacks:
        if isinstance(callback, WeightAveraging):
            callback.on_train_end(trainer, classifier)


def _checkpoint(callbacks: Sequence[pl.Callback]) -> Path | None:
    """Return the newest file that the checkpoint callback, if there is one, has written."""
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.dirpath:
            files = Path(callback.dirpath).glob(f"*{callback.FILE_EXTENSION}")
            return max(files, key=lambda file: file.stat().st_mtime_ns, default=None)
    return None


def answers(
    classify: torch.nn.Module, images: NDArray[np.uint8], batch: int = 1000
) -> NDArray[np.float32]:
    """Return logits float32 ``[N, 10]`` for images uint8 ``[N, 28, 28]``, in evaluation mode."""
    was_training = classify.training
    classify.eval()
    with torch.inference_mode():
        parts = [classify(part) for part in torch.from_numpy(images).split(batch)]
    classify.train(was_training)
    return torch.cat(parts).float().numpy()
