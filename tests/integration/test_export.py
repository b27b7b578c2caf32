"""The exported graph gives the network's answers."""

from __future__ import annotations

import functools
import logging

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from digits.errors import ExportError
from digits.models import networks
from digits.models.classifier import DigitClassifier
from digits.models.objective import Supervised
from digits.training import schedules
from digits.training.export import check_parity, onnx_answers, to_onnx
from digits.training.fit import answers

NETWORKS = {
    "linear": networks.Linear,
    "mlp": lambda: networks.Mlp([16], dropout=0.2),
    "lenet": networks.LeNet,
    "cnn": lambda: networks.Cnn([4, 8], depth=1, dropout=0.1),
    "cnn patch": lambda: networks.Cnn([4, 8], depth=1, stem="patch", crop=2, hidden=8),
    "resnet": lambda: networks.ResNet([4, 8]),
    "tiny": lambda: networks.Tiny([4, 8], pool_after=[1]),
}


def classifier(network):
    torch.manual_seed(0)
    module = DigitClassifier(
        network(),
        objective=Supervised(),
        optimizer=functools.partial(torch.optim.Adam, lr=0.01),
        scheduler=schedules.constant,
    )
    for part in module.modules():  # as if trained: statistics that evaluation mode uses
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
    return module


def exported(module, file):
    to_onnx(module.network, mean=module.standard.mean, std=module.standard.std, file=file)
    return file


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """A small network and its graph."""
    module = classifier(NETWORKS["cnn"])
    return module, exported(module, tmp_path_factory.mktemp("graph") / "model.onnx")


@pytest.mark.parametrize("name", NETWORKS)
def test_graph_of_every_network_agrees(digits, tmp_path, name):
    module = classifier(NETWORKS[name])
    file = exported(module, tmp_path / "model.onnx")
    images = digits.test.images
    parity = check_parity(answers(module, images), onnx_answers(file, images))
    assert parity.count == 80
    assert parity.disagreements == 0
    assert parity.largest_difference < 1e-4
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]  # no .data beside it


@pytest.mark.parametrize("batch", [1, 2, 7, 80])
def test_batch_is_free(digits, graph, batch):
    _, file = graph
    images = digits.test.images
    whole, parts = onnx_answers(file, images), onnx_answers(file, images, batch=batch)
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-5)
    assert (parts.shape, parts.dtype) == ((80, 10), np.float32)


def test_graph_takes_bytes_and_names_its_ends(graph):
    model = onnx.load(graph[1])
    (entry,), (leaving,) = model.graph.input, model.graph.output
    assert (entry.name, leaving.name) == ("pixels", "logits")
    assert entry.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    shape = [size.dim_value for size in entry.type.tensor_type.shape.dim]
    assert shape == [0, 28, 28]  # 0: free


def test_graph_is_the_same_every_time(graph, tmp_path):
    module, file = graph
    assert exported(module, tmp_path / "again.onnx").read_bytes() == file.read_bytes()


def test_export_leaves_the_network_as_it_was(tmp_path):
    module = classifier(NETWORKS["cnn"]).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    random = torch.get_rng_state()
    exported(module, tmp_path / "model.onnx")
    assert module.training
    assert all(part.training for part in module.network.modules())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    convolutions = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    for part in convolutions:
        assert part.weight.is_contiguous(memory_format=torch.channels_last)
        assert part.weight.requires_grad
    assert torch.equal(torch.get_rng_state(), random)


def test_export_says_nothing(tmp_path, caplog, capfd):
    caplog.set_level(logging.INFO)
    exported(classifier(NETWORKS["linear"]), tmp_path / "model.onnx")
    assert caplog.messages == []
    assert capfd.readouterr() == ("", "")


LOGITS = np.eye(10, dtype=np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda logits: logits + np.float32(0.01), r"differ by up to 0\.01, 0 of 10 answers"),
        (lambda logits: np.where(logits, np.float32(np.nan), logits), "up to nan, 0 of 10 answers"),
        (lambda logits: logits[::-1].copy(), "10 of 10 answers"),
    ],
)
def test_other_logits_are_refused(change, message):
    with pytest.raises(ExportError, match=message):
        check_parity(LOGITS, change(LOGITS))


def test_another_answer_is_refused_however_close():
    close = np.zeros((1, 10), np.float32)
    other = close.copy()
    other[0, 4] = 1e-6
    with pytest.raises(ExportError, match="1 of 1 answers"):
        check_parity(close, other)
