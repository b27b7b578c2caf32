"""The one LightningModule: standardisation, memory layout, checkpoints."""

from __future__ import annotations

import copy
import functools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from digits.models.classifier import DigitClassifier
from digits.models.networks import Cnn
from digits.models.objective import Supervised
from digits.training import schedules


class Seen(nn.Module):
    """Keeps what it is given and answers with nothing."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        self.images = images
        return images.new_zeros(len(images), 10)


def classifier(network):
    return DigitClassifier(
        network,
        objective=Supervised(),
        optimizer=functools.partial(torch.optim.Adam, lr=0.01),
        scheduler=schedules.constant,
    )


def test_network_sees_standardised_pixels(digits):
    module = classifier(Seen())
    images = digits.test.images
    module(torch.from_numpy(images))
    expected = (images[:, None] / 255 - 0.1307) / 0.3081
    assert module.network.images.dtype == torch.float32
    np.testing.assert_allclose(module.network.images.numpy(), expected, atol=2e-6)


def test_bytes_and_floats_agree(digits):
    module = classifier(Cnn([4, 8], depth=1)).eval()
    pixels = torch.from_numpy(digits.test.images)
    assert torch.equal(module(pixels), module(pixels.float()))


def test_weights_lie_channels_last_and_stay_so_through_a_checkpoint():
    module, other = classifier(Cnn([4, 8], depth=1)), classifier(Cnn([4, 8], depth=1))
    weights = {name: value.contiguous() for name, value in other.state_dict().items()}
    module.load_state_dict(weights)
    convolutions = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    assert len(convolutions) == 2
    for part in convolutions:
        assert part.weight.is_contiguous(memory_format=torch.channels_last)
    assert not convolutions[1].weight.is_contiguous()


def test_training_step_gives_the_sums_of_its_batch(digits):
    module = classifier(Cnn([4], depth=1))
    pixels = torch.from_numpy(digits.train.images[:20])
    labels = torch.from_numpy(digits.train.labels[:20])
    out = module.training_step((pixels, labels), 0)
    answers = copy.deepcopy(module)(pixels).argmax(1)
    assert out["correct"] == (answers == labels).sum()
    assert float(out["loss_sum"]) == pytest.approx(20 * float(out["loss"].detach()))
    assert out["loss"].requires_grad
    assert not out["loss_sum"].requires_grad


def test_weights_of_another_type_get_pixels_of_that_type(digits):
    module = classifier(Cnn([4], depth=1)).to(torch.bfloat16).eval()
    assert module(torch.from_numpy(digits.test.images)).dtype == torch.bfloat16


def test_checkpoint_carries_the_stream_of_random_numbers():
    module, checkpoint = classifier(Seen()), {}
    module.on_save_checkpoint(checkpoint)
    drawn = torch.rand(3)
    torch.rand(7)
    module.on_load_checkpoint(checkpoint)
    assert torch.equal(torch.rand(3), drawn)


def test_gpu_stream_is_continued_once_the_device_is_known(monkeypatch):
    # Lightning loads a checkpoint while the module is still on the CPU.
    module, checkpoint = classifier(Seen()), {}
    module.on_save_checkpoint(checkpoint)
    state = torch.arange(16, dtype=torch.uint8)
    applied = []
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda *given: applied.append(given))
    module.on_load_checkpoint({**checkpoint, "cuda_rng": state})
    assert applied == []
    gpu = torch.device("cuda", 0)
    monkeypatch.setattr(DigitClassifier, "device", gpu)
    module.on_train_start()
    module.on_train_start()
    assert applied == [(state, gpu)]


def test_schedule_of_torch_that_knows_no_total_is_made():
    module = classifier(Cnn([4], depth=1))
    module.make_scheduler = functools.partial(torch.optim.lr_scheduler.StepLR, step_size=5)
    module.trainer = SimpleNamespace(
        estimated_stepping_batches=10, num_training_batches=5, accumulate_grad_batches=1
    )
    made = module.configure_optimizers()["lr_scheduler"]["scheduler"]
    assert made.step_size == 5
