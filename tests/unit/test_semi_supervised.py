"""Learning from images without labels: what counts, what a teacher is, and that it helps."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from digits.data.types import Digits
from digits.errors import DataError
from digits.models.networks import Cnn
from digits.models.semi_supervised import SemiSupervised
from digits.training.fit import answers
from tests.unit.fitting import Stop, classifier, same, shifted, trained


def unchanged(images, keys):
    return torch.from_numpy(images).float()


def objective(**options):
    given = {"weak": unchanged, "strong": shifted, "unlabelled": 64, "warmup": 2, "threshold": 0.8}
    return SemiSupervised(**(given | options))


def few(digits, count=10):
    """The drawn bars, one in ten with a label."""
    labelled = digits.train.take(np.arange(count))
    return dataclasses.replace(digits, train=labelled, unlabelled=digits.train.images[count:])


def learner(**options):
    made = classifier()
    made.objective = objective(**options)
    return made


class Fixed(nn.Module):
    """A network that gives each image the logits that its first pixels say."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images):
        return self.scale * images[:, 0, 0, :10] * 5


def told(rows):
    """Images whose first ten pixels are these, as uint8."""
    images = np.zeros((len(rows), 28, 28), np.uint8)
    images[:, 0, :10] = rows
    return images


def test_only_confident_answers_count():
    sure, unsure = np.zeros(10), np.zeros(10)
    sure[3] = 255
    unsure[:] = 100
    made = objective(threshold=0.9)
    made.begin(Fixed(), told([sure, unsure]))
    targets, counts = made._taught(torch.from_numpy(told([sure, unsure])).float())
    assert targets[0] == 3
    assert counts.tolist() == [1, 0]


def test_the_teacher_is_the_average_of_the_network():
    network = Cnn([4], depth=1)
    made = objective(decay=0.5)
    made.begin(network, told([np.zeros(10)]))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 1
    before = copy.deepcopy(made._teacher.network.state_dict())
    for _ in range(30):
        made._follow()
    after, now = made._teacher.network.state_dict(), network.state_dict()
    assert not torch.allclose(before["head.1.bias"], now["head.1.bias"])
    assert all(torch.allclose(after[name], now[name], atol=1e-5) for name in now)


def test_until_the_warmup_is_over_only_labels_count():
    made = objective(warmup=1)
    made.begin(Fixed(), told([np.zeros(10)]))
    seen = []

    def classify(pixels):
        seen.append(len(pixels))
        return torch.zeros(len(pixels), 10, requires_grad=True)

    pixels, labels = torch.zeros(5, 28, 28), torch.zeros(5, dtype=torch.int64)
    made(classify, pixels, labels)
    _, logits = made(classify, pixels, labels)
    assert seen == [5, 5 + 64]
    assert logits.shape == (5, 10)


def test_images_without_labels_make_it_better(digits, tmp_path):
    def loss(model):
        logits = torch.from_numpy(answers(model, digits.test.images))
        return float(nn.functional.cross_entropy(logits, torch.from_numpy(digits.test.labels)))

    options = {"max_epochs": 40, "keep": False}
    alone, *_ = trained(few(digits), tmp_path / "a", model=classifier(), **options)
    helped, *_ = trained(few(digits), tmp_path / "b", model=learner(warmup=20), **options)
    assert loss(helped) < 0.7 * loss(alone)


def test_a_resumed_training_is_the_undisturbed_one(digits, tmp_path):
    data = few(digits, 100)
    whole, *_ = trained(data, tmp_path / "a", model=learner())

    class BrokenError(Exception):
        pass

    def fail():
        raise BrokenError

    with pytest.raises(BrokenError):
        trained(data, tmp_path / "b", model=learner(), callbacks=[Stop(2, fail)])
    resumed, *_ = trained(data, tmp_path / "b", model=learner(), resume=True)
    assert same(whole, resumed)


def test_data_without_unlabelled_images_is_refused(digits, tmp_path):
    with pytest.raises(DataError, match=r"data\.unlabelled=true"):
        trained(digits, tmp_path, model=learner())


def test_unlabelled_images_are_part_of_what_data_is(digits):
    assert len(digits.unlabelled) == 0
    more = dataclasses.replace(digits, unlabelled=digits.train.images[:3])
    assert more.digest != digits.digest
    with pytest.raises(DataError, match="images must be uint8"):
        Digits("bars", "", digits.train, digits.validation, digits.test, np.zeros((2, 28, 28)))
