"""Seconds of training to 99 % on MNIST: ours, a bare loop, and PyTorch's classic example.

Every row is measured in a process of its own; imports and reading the data are not counted.
"""

from __future__ import annotations

import functools
import json
import statistics
import subprocess
import sys
import time

import torch
from hydra import compose, initialize_config_dir
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from digits.config import resolvers
from digits.config.instantiate import instantiate
from digits.data.types import Digits, Split
from digits.evaluation.metrics import report
from digits.training.fit import answers
from scripts.benchmarks._results import ROOT, Results, arguments, run_task, show, spread

RECIPE = "experiment=mnist_fast"
VALUES = ["seconds", "accuracy", "epochs", "waiting"]
CLASSIC_LIMIT = 14  # epochs of the example itself


def ours(seed: int) -> dict[str, float]:
    """Train through ``run.py``: Lightning, tracking, checkpoint and all."""
    metrics = run_task([RECIPE, f"seed={seed}"])
    return {
        "seconds": metrics["fit/seconds"],
        "accuracy": metrics["test/accuracy"],
        "waiting": metrics["fit/waiting_share"],
    }


def bare(seed: int) -> dict[str, float]:
    """Train the same network on the same batches with nothing but a loop around them."""
    resolvers.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        overrides = [RECIPE, f"seed={seed}", "paths.output=."]
        config = compose("config", overrides)
    torch.manual_seed(seed)
    classifier = instantiate(config.task.classifier)
    data = instantiate(config.data).load()
    loaders = instantiate(config.task.loaders)(data)
    epochs = int(config.trainer.max_epochs)
    half = config.trainer.precision == "bf16-mixed"
    begin = time.perf_counter()
    loader = loaders.train_dataloader()
    optimizer = classifier.make_optimizer(classifier.parameters())
    schedule = classifier.make_scheduler(
        optimizer, total_steps=epochs * len(loader), steps_per_epoch=len(loader)
    )
    classifier.train()
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        for pixels, labels in loader:
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss, _ = classifier.objective(classifier, pixels, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        _accuracy(classifier, data.validation)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "accuracy": _accuracy(classifier, data.test)}


class ClassicNetwork(nn.Module):
    """The network of PyTorch's MNIST example: conv 32, conv 64, pool, dropout, fc 128."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.classifier = nn.Sequential(
            nn.Dropout(0.25),
            nn.Flatten(),
            nn.Linear(9216, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, 10),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map float32 ``[N, 28, 28]`` in 0..255 to logits ``[N, 10]``."""
        standard = (images.float().unsqueeze(1) / 255 - 0.1307) / 0.3081
        logits: torch.Tensor = self.classifier(self.convolutions(standard))
        return logits


class ClassicDataset(Dataset[tuple[torch.Tensor, int]]):
    """One image at a time, as the example's data set gives them."""

    def __init__(self, split: Split) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(self.split.images[index]), int(self.split.labels[index])


def classic(seed: int) -> dict[str, float]:
    """Train the example's recipe until the first epoch that ends at 99 % or better."""
    data = _mnist()
    torch.manual_seed(seed)
    network = ClassicNetwork()
    seconds = 0.0
    begin = time.perf_counter()
    optimizer = torch.optim.Adadelta(network.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    loader = DataLoader(ClassicDataset(data.train), batch_size=64, shuffle=True)
    for epoch in range(1, CLASSIC_LIMIT + 1):
        network.train()
        for images, labels in loader:
            optimizer.zero_grad()
            functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
        schedule.step()
        seconds += time.perf_counter() - begin  # judging the epoch is not counted
        accuracy = _accuracy(network, data.test)
        if accuracy >= 0.99:
            return {"seconds": seconds, "accuracy": accuracy, "epochs": epoch}
        begin = time.perf_counter()
    sys.exit(f"the classic example did not reach 99 % in {CLASSIC_LIMIT} epochs")


def _mnist() -> Digits:
    """The 60,000 training digits, none set aside, and the official test set."""
    resolvers.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", ["data=mnist", "data.validation_size=0", "paths.output=."])
    data: Digits = instantiate(config.data).load()
    return data


def _accuracy(network: nn.Module, split: Split) -> float:
    return report(answers(network, split.images), split.labels).accuracy


CASES = {"mnist_fast": ours, "bare loop": bare, "classic example": classic}


def in_own_process(case: str, seed: int) -> dict[str, float]:
    """Measure one row in a fresh interpreter."""
    command = [sys.executable, "-m", "scripts.benchmarks.speed", "--row", case, str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{case}, seed {seed}:\n{done.stderr[-3000:]}")
    values: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return values


def main() -> None:
    """Measure what is missing, ours and the bare loop in turn, then print the table."""
    options = arguments(__doc__, seeds=10, classic=3)
    results = Results("speed", VALUES, fresh=options.fresh)
    for seed in range(options.seeds):
        typed = [RECIPE, f"seed={seed}"]
        command = f"python run.py {' '.join(typed)}"
        results.measure("mnist_fast", seed, ours, command=command, overrides=typed)
        for case in ("bare loop", "classic example"):
            if case == "bare loop" or seed < options.classic:
                row = functools.partial(in_own_process, case)
                used = typed if case == "bare loop" else None
                results.measure(case, seed, row, command="scripts/bench speed", overrides=used)
    seconds = {case: results.column(case, "seconds") for case in CASES}
    rows = [
        [
            case,
            str(len(seconds[case])),
            spread(seconds[case]),
            spread(results.column(case, "accuracy"), 100),
        ]
        for case in CASES
    ]
    show("MNIST to 99 %", ["", "seeds", "seconds of training", "accuracy %"], rows)
    pairs = zip(seconds["mnist_fast"], seconds["bare loop"], strict=True)
    print(f"Lightning and tracking over the bare loop: {spread([a / b for a, b in pairs])}")
    if seconds["classic example"]:
        ratio = statistics.mean(seconds["classic example"]) / statistics.mean(seconds["mnist_fast"])
        print(f"faster than the classic example: {ratio:.1f} times")


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--row":
        print(json.dumps(CASES[sys.argv[2]](int(sys.argv[3]))))
    else:
        main()
