"""MNIST's file format and the four files themselves."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct

import numpy as np
import pytest

from digits.data import idx, labelled, mnist
from digits.data.mnist import IdxFile, Mnist
from digits.errors import DataError


def idx_bytes(array):
    array = np.asarray(array, np.uint8)
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


# --- IDX


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_is_read_plain_or_gzipped_whatever_its_name(tmp_path, pack):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "images.gz"
    path.write_bytes(pack(idx_bytes(array)))
    assert np.array_equal(idx.parse(idx.content(path), str(path)), array)


def test_idx_of_wider_numbers_is_native():
    data = struct.pack(">HBBI2i", 0, 0x0C, 1, 2, -5, 70_000)
    result = idx.parse(data, "numbers")
    assert result.tolist() == [-5, 70_000]
    assert result.dtype == np.int32


GOOD = idx_bytes(np.zeros((2, 3)))


PACKED = gzip.compress(GOOD, mtime=0)  # its header would hold the time, and with it the test's id


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is truncated"),
        (GOOD[:6], "ends within its IDX header"),
        (GOOD[:-1], "is truncated: 17 bytes, but its header"),
        (GOOD + b"\0", "has trailing bytes"),
        (b"\x89PNG" + GOOD, "not an IDX file: it starts with 0x89504e47"),
        (struct.pack(">HBB4I", 0, 8, 4, *[2**32 - 1] * 4), "is truncated"),
        (PACKED[:-4], "gzip stream ends early"),
        (PACKED[:-8] + b"\0" * 8, "damaged gzip"),
    ],
)
def test_faulty_idx_is_named_with_its_fault(tmp_path, data, message):
    path = tmp_path / "some-images"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        idx.parse(idx.content(path), str(path))
    assert str(path) in str(caught.value)


def test_missing_idx_is_named(tmp_path):
    with pytest.raises(DataError, match="none is missing"):
        idx.content(tmp_path / "none")


def test_gzip_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(bytes(10_000)))
    with pytest.raises(DataError, match="more than the 9,999 bytes"):
        idx.content(path, max_bytes=9_999)


# --- MNIST


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """Four IDX files of 200 + 20 images, and the checksum table that fits them."""
    random = np.random.default_rng(0)
    arrays = [
        random.integers(0, 256, (200, 28, 28)),
        np.arange(200) % 10,
        random.integers(0, 256, (20, 28, 28)),
        np.arange(20) % 10,
    ]
    files = []
    for file, array in zip(mnist.FILES, arrays, strict=True):
        content = idx_bytes(array)
        (tmp_path / file.name).write_bytes(content)
        files.append(IdxFile(file.name, hashlib.sha256(content).hexdigest()))
    monkeypatch.setattr(mnist, "FILES", tuple(files))
    return tmp_path


def small(root, **options):
    return Mnist(str(root), cache=str(root / "cache"), **{"validation_size": 50, **options}).load()


def test_mnist_keeps_the_official_test_set_apart(small_mnist):
    digits = small(small_mnist)
    assert (len(digits.train), len(digits.validation), len(digits.test)) == (150, 50, 20)
    published = (small_mnist / "t10k-images-idx3-ubyte").read_bytes()
    assert np.array_equal(digits.test.images, idx.parse(published, "test images"))


def test_mnist_without_validation(small_mnist):
    digits = small(small_mnist, validation_size=0)
    assert (len(digits.train), len(digits.validation)) == (200, 0)


def test_mnist_trains_on_so_many_images_and_judges_by_the_same(small_mnist):
    everything, part = small(small_mnist), small(small_mnist, train_size=40)
    assert np.bincount(part.train.labels).tolist() == [4] * 10
    assert {image.tobytes() for image in part.train.images} < {
        image.tobytes() for image in everything.train.images
    }
    assert np.array_equal(part.validation.images, everything.validation.images)
    assert np.array_equal(part.test.images, everything.test.images)


def test_mnist_keeps_what_is_left_out_without_its_labels_if_asked(small_mnist):
    everything, part = small(small_mnist), small(small_mnist, train_size=40, unlabelled=True)
    assert len(small(small_mnist, train_size=40).unlabelled) == 0
    assert len(small(small_mnist, unlabelled=True).unlabelled) == 0
    assert len(part.unlabelled) == len(everything.train) - 40
    whole = sorted(image.tobytes() for image in everything.train.images)
    both = [*part.train.images, *part.unlabelled]
    assert sorted(image.tobytes() for image in both) == whole


def test_mnist_trains_on_what_a_simulation_has_labelled(small_mnist, tmp_path):
    everything, file = small(small_mnist), tmp_path / "labelled.json"
    labelled.write(file, pool=everything.digest, places=[17, 3, 29, 8])
    part = small(small_mnist, labelled=str(file), train_size=3, unlabelled=True)
    assert np.array_equal(part.train.images, everything.train.images[[17, 3, 29]])
    assert np.array_equal(part.train.labels, everything.train.labels[[17, 3, 29]])
    assert len(part.unlabelled) == len(everything.train) - 3
    assert len(small(small_mnist, labelled=str(file)).train) == 4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("{}", "is not what task=active writes"),
        ('{"pool": "c0ffee", "places": [1]}', "is of another pool: give the data.validation_size"),
    ],
)
def test_labels_that_cannot_be_these_are_refused(small_mnist, tmp_path, content, words):
    file = tmp_path / "labelled.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(DataError, match=f"data.labelled: .*{words}"):
        small(small_mnist, labelled=str(file))


def test_mnist_with_fewer_images_than_asked_trains_on_all(small_mnist):
    assert small(small_mnist, train_size=151).digest == small(small_mnist).digest


@pytest.mark.parametrize("size", [5, 195, 200])
def test_mnist_validation_that_does_not_fit_names_its_key(small_mnist, size):
    with pytest.raises(DataError, match=r"data\.validation_size"):
        small(small_mnist, validation_size=size)


def test_mnist_is_the_same_from_gzip_and_dotted_names(small_mnist):
    plain = small(small_mnist)
    for path in list(small_mnist.glob("*ubyte")):
        packed = path.with_name(path.name.replace("-idx", ".idx") + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert small(small_mnist).digest == plain.digest


def test_mnist_file_of_other_content_is_named_with_both_digests(small_mnist):
    path = small_mnist / "train-labels-idx1-ubyte"
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(idx_bytes(np.zeros(200)))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(DataError) as caught:
        small(small_mnist)
    assert all(part in str(caught.value) for part in (str(path), expected, found))


def test_missing_mnist_files_are_all_named(small_mnist):
    (small_mnist / "train-labels-idx1-ubyte").unlink()
    (small_mnist / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match=r"data\.root.*train-labels.*t10k-images"):
        small(small_mnist)


def test_mnist_root_that_is_no_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"data\.root: .*nowhere is not a folder"):
        small(tmp_path / "nowhere")


def test_published_mnist_is_read():
    root = os.environ.get("DIGITS_MNIST_ROOT")
    if not root:
        pytest.skip("DIGITS_MNIST_ROOT names no folder with MNIST")
    digits = Mnist(root, cache="unused").load()
    assert (len(digits.train), len(digits.validation), len(digits.test)) == (55_000, 5_000, 10_000)
    assert np.bincount(digits.test.labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009
    ]  # fmt: skip
