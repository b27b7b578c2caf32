"""What a sweep is: it goes on as that, or not at all."""

from __future__ import annotations

import enum
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from hydra_plugins.ray_tune_sweeper import _manifest as manifest
from hydra_plugins.ray_tune_sweeper._manifest import ResumeError, begin, identity
from hydra_plugins.ray_tune_sweeper._space import Choice, Interval

UNIT = Interval(0.0, 1.0)


def known(config=None, space=None, settings=None, free_keys=()):
    """The identity of a sweep of one cell."""
    config = OmegaConf.create(config or {"epochs": 6, "optimizer": {"lr": 0.1}})
    return identity(
        settings or {"seed": 0}, [({}, space or {"x": UNIT})], [config], free_keys=free_keys
    )


def test_folder_begins_once_and_goes_on_after(tmp_path):
    assert begin(tmp_path / "new" / "sweep", known()) is False
    assert begin(tmp_path / "new" / "sweep", known()) is True


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"config": {"epochs": 7, "optimizer": {"lr": 0.1}}}, "epochs: 6 -> 7"),
        ({"config": {"epochs": 6, "optimizer": {"lr": 0.2}}}, "optimizer.lr: 0.1 -> 0.2"),
        ({"config": {"epochs": 6}}, "optimizer.lr: 0.1 -> absent"),
        ({"settings": {"seed": 1}}, "hydra.sweeper.seed: 0 -> 1"),
        ({"space": {"x": Interval(0.0, 2.0)}}, "space.x: .*high=1.0.* -> .*high=2.0"),
        ({"space": {"x": UNIT, "y": UNIT}}, "space.y: absent -> "),
    ],
)
def test_change_is_refused_and_named(tmp_path, changed, line):
    begin(tmp_path, known())
    with pytest.raises(ResumeError, match=line) as refused:
        begin(tmp_path, known(**changed))
    assert str(tmp_path) in str(refused.value)
    assert begin(tmp_path, known()), "the refused attempt has changed nothing"


def test_sweep_begins_in_the_folder_that_its_driver_keeps(tmp_path):
    with manifest.driven(tmp_path):
        assert begin(tmp_path, known()) is False
    with manifest.driven(tmp_path):
        assert begin(tmp_path, known()) is True


def test_every_change_is_named_and_nothing_else(tmp_path):
    begin(tmp_path, known({"a": 1, "b": 2, "c": 3}))
    with pytest.raises(ResumeError) as refused:
        begin(tmp_path, known({"a": 1, "b": 5, "d": 3}))
    lines = str(refused.value).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == ["b", "c", "d"]


def test_cells_are_told_apart_by_their_groups(tmp_path):
    def two(width):
        space = {"x": Choice(("1", "2"))}
        groups = [({"model": "a"}, {"x": UNIT}), ({"model": "b", "data": "c"}, space)]
        configs = [OmegaConf.create({"model": {"width": each}}) for each in (1, width)]
        return identity({}, groups, configs, free_keys=())

    begin(tmp_path, two(2))
    with pytest.raises(ResumeError, match=r"model=b,data=c: model\.width: 2 -> 3") as refused:
        begin(tmp_path, two(3))
    assert "model=a" not in str(refused.value)


def test_hydra_and_free_keys_may_change():
    first = known({"epochs": 6, "paths": {"root": "a"}, "hydra": {"job": 1}}, free_keys=["paths"])
    assert first == known({"epochs": 6, "paths": {"root": "b"}}, free_keys=["paths"])


def test_free_key_below_the_top_may_change():
    first = known({"data": {"root": "a", "name": "bars"}}, free_keys=["data.root"])
    assert first == known({"data": {"root": "b", "name": "bars"}}, free_keys=["data.root"])
    assert first != known({"data": {"root": "b", "name": "mnist"}}, free_keys=["data.root"])


def test_values_are_compared_as_written():
    first = known({"run": "${now:%S}", "name": "${run}"})
    assert first == known({"run": "${now:%S}", "name": "${run}"})


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Typed:
    colour: Colour = Colour.RED


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (OmegaConf.structured(Typed), OmegaConf.structured(Typed(Colour.BLUE))),
        ({"p": Path("/a")}, {"p": Path("/b")}),
        ({"p": b"a"}, {"p": b"b"}),
        ({"p": None}, {"p": "???"}),
        ({"p": []}, {"p": {}}),
        ({"p": [1, {"q": 2}]}, {"p": [1, {"q": 3}]}),
    ],
)
def test_every_type_of_a_configuration_has_an_identity(one, other):
    assert known(one) == known(one) != known(other)


def test_sweep_of_another_user_is_refused(tmp_path):
    if os.getuid() != 0:
        pytest.skip("only root can give a file away")
    begin(tmp_path, known())
    file = tmp_path / manifest.PLACE / manifest.FILE
    os.chown(file, 12345, -1)
    with pytest.raises(ResumeError, match=rf"{tmp_path} belongs to another user \(uid 12345\)"):
        begin(tmp_path, known())


def test_file_is_written_whole_or_not_at_all(tmp_path):
    file = tmp_path / "best.yaml"
    manifest.write_atomically(file, "first\n")
    with pytest.raises(UnicodeEncodeError):
        manifest.write_atomically(file, "half\ud800")
    assert file.read_text() == "first\n"
    assert list(tmp_path.iterdir()) == [file]


def test_reader_never_sees_half_a_file(tmp_path):
    file = tmp_path / "trials.json"
    contents = ["a" * 500_000, "b" * 300_000]
    manifest.write_atomically(file, contents[0])
    done = threading.Event()

    def write():
        for number in range(40):
            manifest.write_atomically(file, contents[number % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert file.read_text() in contents
    writer.join()
