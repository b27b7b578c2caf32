"""The 15 corruptions on a plain network, beside a separate implementation of them, 2 seeds.

The network is trained without augmentation. The floors are what the same network reached, with the
same recipe and seeds 0 and 1, under a separate implementation of the families: whoever made ours
mild would leave them upwards.
"""

from __future__ import annotations

import statistics

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from torch import nn
from torch.nn import functional

from digits.config import resolvers
from digits.config.instantiate import instantiate
from digits.data.types import Digits, Split
from digits.evaluation.classify import torch_classifier
from digits.evaluation.corruptions import CORRUPTIONS
from digits.evaluation.robustness import robustness
from scripts.benchmarks._results import ROOT, Results, arguments, show

OVERRIDES = ["data=mnist", "data.validation_size=10000", "paths.output=."]
CORRUPTION_SEED = 0
EPOCHS = 6
BATCH = 128
TOLERANCE = 3.0  # points beyond the two floors
FOG_TOLERANCE = 10.0  # two seeds of one network are that far apart

#: accuracy in per cent, seeds 0 and 1
FLOORS: dict[str, tuple[float, float]] = {
    "clean": (99.40, 99.35),
    "shot_noise": (98.65, 98.25),
    "impulse_noise": (94.76, 93.49),
    "glass_blur": (96.80, 95.98),
    "motion_blur": (96.36, 95.11),
    "shear": (98.28, 98.20),
    "scale": (97.10, 96.24),
    "rotate": (93.28, 93.50),
    "brightness": (88.74, 89.92),
    "translate": (62.82, 66.06),
    "stripe": (92.11, 90.98),
    "fog": (71.55, 85.98),
    "spatter": (98.47, 98.33),
    "dotted_line": (98.49, 98.55),
    "zigzag": (92.56, 92.49),
    "canny_edges": (62.64, 66.27),
}


class PlainNetwork(nn.Sequential):
    """The network of BatchBALD's MNIST experiments, 184,586 parameters, one dropout."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(1, 32, 5), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Conv2d(32, 64, 5), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(1024, 128), nn.ReLU()),
            *(nn.Dropout(0.5), nn.Linear(128, 10)),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map uint8 ``[N, 28, 28]`` to logits ``[N, 10]``.

        Pixels are 0..1, as for the floors: standardised ones cost 7 points under impulse noise.
        """
        logits: torch.Tensor = super().forward(images.float().unsqueeze(1) / 255)
        return logits


def trained(split: Split, seed: int) -> PlainNetwork:
    """Train on the digits as they are."""
    torch.manual_seed(seed)
    network = PlainNetwork()
    images, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    steps = EPOCHS * -(-len(split) // BATCH)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(split)).split(BATCH):
            loss = functional.cross_entropy(network(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network


def measured(seed: int) -> dict[str, float]:
    """Train one network; return its accuracy under each corruption of the test set."""
    data = mnist()
    classify = torch_classifier(trained(data.train, seed))
    test = data.test
    clean = float(np.mean(classify(test.images).argmax(1) == test.labels))
    return {"clean": clean} | robustness(classify, test.images, test.labels, seed=CORRUPTION_SEED)


def mnist() -> Digits:
    """50,000 digits to train on, 10,000 set aside, and the official test set."""
    resolvers.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", OVERRIDES)
    data: Digits = instantiate(config.data).load()
    return data


def row(name: str, accuracies: list[float]) -> tuple[list[str], bool]:
    """Return one line of the table, and whether every accuracy lies within the tolerance."""
    floors = FLOORS[name]
    tolerance = FOG_TOLERANCE if name == "fog" else TOLERANCE
    low, high = min(floors) - tolerance, max(floors) + tolerance
    inside = all(low <= accuracy <= high for accuracy in accuracies)
    difference = statistics.mean(accuracies) - statistics.mean(floors)
    cells = [
        name.replace("_", " "),
        f"{min(floors):.2f} to {max(floors):.2f}",
        f"{min(accuracies):.2f} to {max(accuracies):.2f}",
        f"{difference:+.2f}",
        f"{'yes' if inside else 'NO'} (±{tolerance:g})",
    ]
    return cells, inside


def main() -> None:
    """Measure what is missing, then print the table; end with 1 if a family leaves its floor."""
    options = arguments(__doc__, seeds=2)
    names = ["clean", *CORRUPTIONS]
    results = Results("robustness", names, fresh=options.fresh)
    for seed in range(options.seeds):
        command = "scripts/bench robustness"
        results.measure("plain network", seed, measured, command=command)
    columns = {name: results.column("plain network", name) for name in names}
    lines = [row(name, [100 * value for value in columns[name]]) for name in names]
    means = [100 * statistics.mean(each) for each in zip(*list(columns.values())[1:], strict=True)]
    floors = [statistics.mean(each) for each in zip(*list(FLOORS.values())[1:], strict=True)]
    total = [
        "mean of 15",
        f"{min(floors):.2f} to {max(floors):.2f}",
        f"{min(means):.2f} to {max(means):.2f}",
        f"{statistics.mean(means) - statistics.mean(floors):+.2f}",
        "",
    ]
    header = ["corruption", "floor %", "measured %", "difference", "in range"]
    title = f"MNIST test set, no augmentation, {options.seeds} seeds"
    show(title, header, [*(cells for cells, _ in lines), total])
    if not all(inside for _, inside in lines):
        raise SystemExit("a corruption lies outside the range of its floor")


if __name__ == "__main__":
    main()
