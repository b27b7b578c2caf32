"""Is an image a digit at all? A detector over the trained network's features, fitted afterwards.

A small head beside the network's own last layer has a score for every digit, and one for every
kind of picture that is none; an image is new by how much the best of the latter exceeds the best of
the former. Training with drawn outliers follows Hendrycks et al. 2019 ("Deep Anomaly Detection with
Outlier Exposure"), classes of their own for them Zhang and LeCun 2017 ("Universum prescription").
The network is left as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from digits.contract.manifest import Abstention
from digits.contract.preprocessing import Preprocessing
from digits.data.types import CLASSES, Digits, Split
from digits.errors import ExportError
from digits.models.features import with_all_features
from digits.training.export import TOLERANCE, for_inference, open_graph, write_graph
from digits.training.non_digits import Kind, non_digits, redrawn

MOST = 6000  # digits, and as many pictures that are none
EACH = 2  # such pictures for each digit, where digits are few
EPOCHS, BATCH, RATE = 8, 128, 3e-3
FEW, HIDDEN = 2000, 32  # features up to which a hidden layer pays, and its width
DOUBTED = 0.06  # of the pictures: those most like a digit may well be one
REFUSED = 0.007  # of the validation digits
CAUGHT = 0.95  # of the pictures: more is not asked for at the cost of digits
JUDGED = 500  # pictures that the threshold is set with
CHECKED = 200  # validation digits that the graph is held against torch on
OUTPUTS = ("probabilities", "novelty")


class Answer(nn.Module):
    """What the service runs for every image: calibrated probabilities, and how new it is."""

    def __init__(self, model: nn.Module, temperature: float, scores: nn.Sequential) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.scores = scores

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Answer uint8 ``[N, 28, 28]``: probabilities ``[N, 10]`` and novelty ``[N]``."""
        logits, features = with_all_features(self.model, pixels)
        probabilities = functional.softmax(logits / self.temperature, dim=1)
        return probabilities, _novelty(self.scores(features))


def answer_to_onnx(
    network: nn.Module, standard: Preprocessing, data: Digits, *, temperature: float, file: Path
) -> Abstention:
    """Fit the detector, write the whole graph to ``file``, and set the threshold.

    Args:
        network: trained; it is left as it is.
        standard: its standardisation, and what pictures go through.
        data: the detector learns from the training split, the threshold is set on validation, and
            the test split says how many digits are refused.
        temperature: logits are divided by it.
        file: is written.

    Raises:
        ExportError: the graph's probabilities are not the network's.
    """
    model = for_inference(network, mean=standard.mean, std=standard.std).requires_grad_(False)
    scores = _fit(model, data.train, standard)
    answer = Answer(model, temperature, scores).eval().requires_grad_(False)
    example = torch.zeros(2, 28, 28, dtype=torch.uint8)
    write_graph(answer, {"pixels": example}, OUTPUTS, file)
    probabilities, known = _answers(file, data.validation.images)
    _check(model, temperature, data.validation.images[:CHECKED], probabilities[:CHECKED])
    pictures = _answers(file, non_digits(JUDGED, standard, seed=1)[0])[1]
    allowed = np.sort(known)[len(known) - 1 - int(REFUSED * len(known))]
    threshold = max(float(allowed), float(np.quantile(pictures, 1 - CAUGHT)))
    return Abstention(
        threshold=threshold,
        refused=float((_answers(file, data.test.images)[1] > threshold).mean()),
        caught=float((pictures > threshold).mean()),
    )


def _samples(
    model: nn.Module, train: Split, standard: Preprocessing
) -> tuple[Tensor, NDArray[np.int64]]:
    """Return features ``[2 K, D]`` and labels of K digits, then K pictures that are none."""
    random = np.random.default_rng(0)
    count = min(MOST, EACH * len(train))
    chosen = train.take(np.resize(random.permutation(len(train)), count))
    images = chosen.images.copy()
    images[::2] = redrawn(images[::2], standard, seed=0)
    pictures, kinds = non_digits(count, standard, seed=0)
    # The layout in which torch convolves fastest.
    quick = copy.deepcopy(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    features = _features(quick, np.concatenate([images, pictures]))
    return features, np.concatenate([chosen.labels, CLASSES + kinds])


def _fit(model: nn.Module, train: Split, standard: Preprocessing) -> nn.Sequential:
    """Fit a score for each digit and each kind of picture, by the cross-entropy of all together."""
    features, of = _samples(model, train, standard)
    labels, digits = torch.from_numpy(of), features[: len(of) // 2]
    mean, spread = digits.mean(dim=0), digits.std(dim=0)
    # What hardly ever changes in digits stays small; of a single digit nothing does.
    spread += 0.05 * spread.square().mean().sqrt().clamp_min(1e-3)
    features.sub_(mean).div_(spread)
    scores = _head(features.shape[1])
    optimizer = torch.optim.AdamW(scores.parameters(), RATE, weight_decay=1e-4)
    steps = EPOCHS * (len(labels) // BATCH + 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
    for batch in _batches(scores, features, labels):
        loss = functional.cross_entropy(scores(features[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    first = scores[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():
        first.weight.div_(spread)
        first.bias.sub_(first.weight @ mean)
    return scores


def _head(width: int) -> nn.Sequential:
    """Make one linear layer of many features, and a hidden one before it where they are few."""
    outputs = CLASSES + len(Kind)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if width > FEW:
            return nn.Sequential(nn.Linear(width, outputs))
        return nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs))


def _batches(scores: nn.Sequential, features: Tensor, labels: Tensor) -> Iterator[Tensor]:
    """Give every sample once an epoch; from half-time on without the doubtful pictures."""
    generator = torch.Generator().manual_seed(0)
    used = torch.arange(len(labels))
    for epoch in range(EPOCHS):
        if epoch == EPOCHS // 2:
            with torch.no_grad():
                novelty = _novelty(scores(features))
            pictures = labels >= CLASSES
            doubted = novelty <= novelty[pictures].quantile(DOUBTED)
            used = torch.nonzero(~(pictures & doubted)).squeeze(1)
        order = used[torch.randperm(len(used), generator=generator)]
        yield from order.split(BATCH)


def _novelty(scores: Tensor) -> Tensor:
    """Return by how much the best score ``[N, 10 + K]`` of no digit exceeds that of the digits."""
    digits, others = scores.split([CLASSES, len(Kind)], dim=1)
    return others.amax(dim=1) - digits.amax(dim=1)


def _features(model: nn.Module, images: NDArray[np.uint8], batch: int = 100) -> Tensor:
    with torch.no_grad():
        parts = torch.from_numpy(images).split(batch)
        return torch.cat([with_all_features(model, part)[1] for part in parts])


def _answers(
    file: Path, images: NDArray[np.uint8], batch: int = 500
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the graph's probabilities ``[N, 10]`` and novelty ``[N]``; N above 0."""
    graph = open_graph(file)
    starts = range(0, len(images), batch)
    parts = [graph.run(list(OUTPUTS), {"pixels": images[at : at + batch]}) for at in starts]
    probabilities, novelty = (np.concatenate(each) for each in zip(*parts, strict=True))
    return probabilities, novelty


def _check(
    model: nn.Module,
    temperature: float,
    images: NDArray[np.uint8],
    found: NDArray[np.float32],
) -> None:
    with torch.no_grad():
        wanted = functional.softmax(model(torch.from_numpy(images)) / temperature, dim=1).numpy()
    difference = float(np.abs(found - wanted).max())
    # "not <=" rather than ">": a NaN is no agreement.
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the answer graph is not the network: probabilities differ by up to "
            f"{difference:.2g}. Nothing was registered."
        )
