"""Raw data: its identity, and the same digits from it as from what it was read from."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from digits.data.augmented import augmented
from digits.data.folder import Folder
from digits.data.raw import Raw, packed, unpacked
from digits.data.uci import Uci
from digits.errors import DataError

FILES = {"3/a.png": b"one", "3/b\udcff.png": b"", "7/c.png": b"three"}
LABELS = np.array([3, 3, 7])


def test_files_come_out_as_they_went_in():
    assert unpacked(packed(FILES, LABELS)) == FILES


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sizes", [3, 0, 6]),
        ("sizes", [3, 5]),
        ("sizes", [4, -1, 5]),
        ("names", list(b"a\0a\0c")),
        ("labels", [3]),
    ],
)
def test_files_that_do_not_fit_their_sizes_are_refused(name, value):
    arrays = packed(FILES, LABELS)
    arrays[name] = np.array(value, arrays[name].dtype)
    with pytest.raises(DataError, match="do not fit each other"):
        unpacked(arrays)


def raw(**arrays):
    return Raw("uci", "scans", {"images": np.zeros((2, 8, 8), np.uint8), **arrays})


@pytest.mark.parametrize(
    "other",
    [
        raw(images=np.zeros((8, 2, 8), np.uint8)),
        raw(images=np.eye(8, dtype=np.uint8)[None].repeat(2, 0)),
        raw(images=np.zeros((2, 8, 8), np.int8)),
        raw(labels=np.zeros(2, np.int64)),
        Raw("uci", "scans", {"pictures": np.zeros((2, 8, 8), np.uint8)}),
    ],
)
def test_identity_is_name_type_shape_and_content_of_every_array(other):
    assert other.digest != raw().digest
    assert raw().digest == Raw("other", "words", raw().arrays).digest


def test_raw_data_of_another_source_is_refused():
    with pytest.raises(
        DataError, match=r"images \[2, 9, 9\]; raw data of uci is images \[N, 8, 8\]"
    ):
        Uci().preprocess(Raw("uci", "scans", {"images": np.zeros((2, 9, 9), np.uint8)}))


@pytest.fixture
def pictures(tmp_path):
    random = np.random.default_rng(0)
    for label in (1, 4):
        (tmp_path / str(label)).mkdir()
        for number in range(12):
            page = np.zeros((40, 30), np.uint8)
            page[8:32, 5 + random.integers(20)] = 255
            Image.fromarray(page).save(tmp_path / str(label) / f"{number}.png")
    return tmp_path


def test_raw_data_of_a_folder_gives_what_reading_it_gives(pictures):
    source = Folder(str(pictures), split_seed=3)
    raw = source.raw()
    assert list(unpacked(raw.arrays)) == sorted(unpacked(raw.arrays))
    assert source.preprocess(raw).digest == source.load().digest
    assert source.preprocess(raw).description == source.load().description


def test_damaged_picture_in_raw_data_is_named(pictures):
    (pictures / "4" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    source = Folder(str(pictures))
    with pytest.raises(DataError, match=r"^4/0\.png: "):
        source.preprocess(source.raw())


def test_folder_needs_a_root_or_a_version():
    with pytest.raises(ValueError, match="root must be given"):
        Folder()


def test_version_without_a_store_is_refused():
    with pytest.raises(ValueError, match="store"):
        Uci(version="raw:latest")


def test_augmented_draws_are_those_of_the_epochs(digits):
    seen = []

    def augment(images, keys):
        seen.extend(keys)
        return images.astype(np.float32) + 0.7  # a batched one gives floats

    made = augmented(digits, augment, copies=2, seed=5)
    count = len(digits.train)
    assert seen == [(5, epoch, index) for epoch in (0, 1) for index in range(count)]
    assert len(made.train) == 2 * count
    expected = np.minimum(digits.train.images.astype(int) + 1, 255)
    assert np.array_equal(made.train.images[count:], expected)
    assert np.array_equal(made.train.labels[:count], digits.train.labels)
    assert made.validation is digits.validation and made.test is digits.test
