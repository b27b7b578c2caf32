"""The files of a data version: written and read without pickle, and not believed."""

from __future__ import annotations

import dataclasses
import json
import zipfile

import numpy as np
import pytest

from digits.data import archive
from digits.data.raw import Raw
from digits.data.types import Digits, Split
from digits.errors import DataError


@pytest.fixture
def folder(tmp_path, digits):
    archive.write(tmp_path, digits, "preprocessed", {"seed": 1})
    return tmp_path


def rewritten(folder, **changes):
    """Change fields of the description."""
    file = folder / archive.ABOUT
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_digits_come_back_with_their_digest(folder, digits):
    about, content = archive.read(folder)
    assert (about.stage, about.settings) == ("preprocessed", {"seed": 1})
    assert isinstance(content, Digits)
    assert content.digest == about.digest == digits.digest
    assert (content.name, content.description) == (digits.name, digits.description)
    content.train.images[0] = 0  # may be written to, as what a source reads


def test_unlabelled_images_come_back_too(tmp_path, digits):
    more = dataclasses.replace(digits, unlabelled=digits.train.images[:7])
    archive.write(tmp_path, more, "preprocessed", {})
    _, content = archive.read(tmp_path)
    assert np.array_equal(content.unlabelled, more.unlabelled)
    assert content.digest == more.digest != digits.digest


def test_raw_arrays_come_back(tmp_path):
    arrays = {"images": np.arange(48, dtype=np.uint8).reshape(3, 4, 4), "labels": np.arange(3)}
    archive.write(tmp_path, Raw("uci", "scans", arrays), "raw", {})
    content = archive.read(tmp_path)[1]
    assert isinstance(content, Raw)
    assert np.array_equal(content.arrays["images"], arrays["images"])


def test_empty_validation_part_is_kept(tmp_path, digits):
    none = Split(digits.test.images[:0], digits.test.labels[:0])
    data = Digits("bars", "bars", digits.train, none, digits.test)
    archive.write(tmp_path, data, "preprocessed", {})
    assert archive.read(tmp_path)[1].digest == data.digest


def test_no_file_is_a_pickle(folder):
    with zipfile.ZipFile(folder / archive.ARRAYS) as file:
        assert all(file.read(name)[:6] == b"\x93NUMPY" for name in file.namelist())
    with np.load(folder / archive.ARRAYS, allow_pickle=False) as arrays:
        assert set(arrays) == set(archive.read(folder)[0].arrays)


@pytest.mark.parametrize("name", [archive.ARRAYS, archive.ABOUT])
def test_damaged_file_is_named(folder, name):
    files = archive.digests(folder)
    assert archive.damage(folder, files) is None
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    assert archive.damage(folder, files).startswith(f"{name} was changed")
    (folder / name).unlink()
    assert archive.damage(folder, files) == f"{name} is missing"


def test_every_cut_file_is_refused(folder):
    content = (folder / archive.ARRAYS).read_bytes()
    for share in (0, 0.001, 0.5, 0.99):
        (folder / archive.ARRAYS).write_bytes(content[: int(len(content) * share)])
        with pytest.raises(DataError, match=r"arrays\.npz is damaged"):
            archive.read(folder)


def test_other_content_than_the_digest_is_refused(folder, digits):
    images = digits.train.images.copy()
    images[7, 3, 3] ^= 1
    other = Digits("b", "b", Split(images, digits.train.labels), digits.validation, digits.test)
    archive.write(folder, other, "preprocessed", {})
    rewritten(folder, digest=digits.digest)
    with pytest.raises(DataError, match=r"its content has sha256 .* not " + digits.digest):
        archive.read(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema_version": 2}, "schema version 2"),
        ({"stage": "cooked"}, r"version\.json is damaged: stage"),
        ({"arrays": {}}, "does not hold the arrays"),
        ({"arrays": {"train_images": {"dtype": "|O", "shape": [3]}}}, "damaged: arrays"),
    ],
)
def test_description_that_cannot_be_right_is_refused(folder, changes, words):
    rewritten(folder, **changes)
    with pytest.raises(DataError, match=words):
        archive.read(folder)


@pytest.mark.parametrize("text", ["", "[1]", "{}", "\x00"])
def test_text_that_is_no_description_is_refused(folder, text):
    (folder / archive.ABOUT).write_text(text)
    with pytest.raises(DataError, match=r"version\.json is damaged"):
        archive.read(folder)


def announced(folder, name, **changes):
    arrays = json.loads((folder / archive.ABOUT).read_text())["arrays"]
    rewritten(folder, arrays=arrays | {name: arrays[name] | changes})


def test_array_of_another_shape_than_announced_is_refused(folder):
    announced(folder, "test_images", shape=[80, 784])
    with pytest.raises(DataError, match=r"test_images\.npy holds uint8 \[80, 28, 28\]"):
        archive.read(folder)


def test_more_than_fits_is_refused_before_it_is_unpacked(folder):
    announced(folder, "test_images", shape=[2**40, 28, 28])
    with pytest.raises(DataError, match="more than the"):
        archive.read(folder)


def test_zip_that_holds_more_than_announced_is_not_unpacked_to_its_end(folder, monkeypatch):
    with zipfile.ZipFile(folder / archive.ARRAYS) as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["test_labels.npy"] += bytes(50 * 2**20)
    with zipfile.ZipFile(folder / archive.ARRAYS, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    with pytest.raises(DataError, match=r"test_labels\.npy has not the length of its shape"):
        archive.read(folder)


def test_pickled_array_is_refused(folder):
    with zipfile.ZipFile(folder / archive.ARRAYS) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(folder / archive.ARRAYS, "w") as file:
        for name, content in members.items():
            if name != "test_labels.npy":
                file.writestr(name, content)
        with file.open("test_labels.npy", "w") as member:
            np.lib.format.write_array(member, np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"test_labels\.npy holds object"):
        archive.read(folder)


def test_images_of_another_size_are_refused(folder):
    data = Raw("bars", "bars", {
        f"{part}_{kind}": np.zeros((4, 32, 32) if kind == "images" else 4, dtype)
        for part in archive.PARTS
        for kind, dtype in (("images", np.uint8), ("labels", np.int64))
    })  # fmt: skip
    archive.write(folder, data, "preprocessed", {})
    with pytest.raises(DataError, match=r"must be uint8 \[N, 28, 28\], not uint8 \(4, 32, 32\)"):
        archive.read(folder)


def test_data_that_is_too_large_is_not_written(tmp_path, digits, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="the preprocessed data of bars takes"):
        archive.write(tmp_path, digits, "preprocessed", {})
    assert not list(tmp_path.iterdir())
