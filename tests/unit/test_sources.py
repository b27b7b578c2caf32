"""scikit-learn's scans, a user's folder, and the split that all sources share."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from digits.data.folder import Folder
from digits.data.split import by_share, sample, stratified
from digits.data.uci import Uci
from digits.errors import DataError

# --- split


@pytest.fixture
def labels():
    return np.random.default_rng(3).permutation(np.repeat(np.arange(10), np.arange(20, 40, 2)))


def test_split_is_disjoint_complete_and_of_the_sizes_asked(labels):
    parts = stratified(labels, validation=31, test=60, seed=0)
    assert (len(parts.validation), len(parts.test)) == (31, 60)
    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert np.array_equal(np.sort(together), np.arange(len(labels)))


def test_split_keeps_the_proportions(labels):
    parts = stratified(labels, validation=31, test=60, seed=0)
    share = np.bincount(labels) * 60 / len(labels)
    assert np.abs(np.bincount(labels[parts.test]) - share).max() < 1


def test_split_depends_on_the_seed_alone(labels):
    first, again, other = (
        stratified(labels, validation=30, test=60, seed=seed).test for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_test_part_does_not_depend_on_the_validation_part(labels):
    without = stratified(labels, validation=0, test=60, seed=0)
    assert without.validation.size == 0
    assert np.array_equal(without.test, stratified(labels, validation=40, test=60, seed=0).test)


def test_class_too_small_to_split_is_named():
    with pytest.raises(DataError, match="class 1 has 2 samples"):
        stratified(np.repeat([0, 1], [50, 2]), validation=5, test=5, seed=0)


def test_parts_larger_than_the_whole_are_refused(labels):
    with pytest.raises(DataError, match="leave some for training"):
        stratified(labels, validation=150, test=140, seed=0)


@pytest.mark.parametrize(
    ("shares", "key"),
    [
        ({"test_fraction": 0.001}, r"data\.test_fraction: 0\.001 of 290 images is none"),
        ({"validation_fraction": 0.001}, r"data\.validation_fraction: 0\.001 of 290 images"),
        ({"validation_fraction": 0.6, "test_fraction": 0.6}, r"lower data\.validation_fraction or"),
        ({"test_fraction": 0.89}, r"change data\.validation_fraction or data\.test_fraction"),
    ],
)
def test_shares_that_leave_nothing_name_their_key(labels, shares, key):
    given = {"validation_fraction": 0.1, "test_fraction": 0.2, **shares}
    with pytest.raises(DataError, match=key):
        by_share(labels, **given, seed=0)


def test_no_validation_is_a_share_too(labels):
    parts = by_share(labels, validation_fraction=0, test_fraction=0.2, seed=0)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (232, 0, 58)


def test_sample_keeps_the_proportions_and_depends_on_the_seed_alone(labels):
    first, again, other = (sample(labels, 60, seed=seed, key="size") for seed in (1, 1, 2))
    assert len(set(first.tolist())) == 60
    share = np.bincount(labels) * 60 / len(labels)
    assert np.abs(np.bincount(labels[first]) - share).max() < 1
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_smaller_sample_lies_in_the_larger(labels):
    small, large = (sample(labels, size, seed=0, key="size") for size in (100, 200))
    assert set(small) < set(large)


def test_sample_of_more_than_there_are_is_everything(labels):
    assert np.array_equal(sample(labels, 291, seed=0, key="size"), np.arange(290))


def test_sample_that_misses_a_class_names_its_key():
    with pytest.raises(DataError, match=r"data\.train_size: 10 images would hold none of class 1"):
        sample(np.repeat([0, 1], [500, 5]), 10, seed=0, key="data.train_size")


# --- UCI


def test_uci_is_enlarged_and_split():
    digits = Uci().load()
    assert (len(digits.train), len(digits.validation), len(digits.test)) == (1168, 180, 449)
    assert digits.train.images.max(axis=(1, 2)).min() == 255
    assert np.median(digits.train.images) == 0


def test_uci_scans_have_the_same_split():
    source = Uci(split_seed=4)
    scans, digits = source.load_scans(), source.load()
    assert scans.features.shape == (1797, 64)
    assert scans.features.max() == 16
    assert np.array_equal(scans.labels[scans.parts.test], digits.test.labels)


def test_uci_scans_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    features, labels = datasets.load_digits(return_X_y=True)
    scans = Uci().load_scans()
    assert np.array_equal(scans.features, features)
    assert np.array_equal(scans.labels, labels)


def test_reading_imports_neither_scikit_learn_nor_the_store_of_versions():
    code = (
        "import sys; from digits.data.uci import Uci; Uci().load();"
        "print(*sorted({'sklearn', 'mlflow', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# --- folder


@pytest.fixture
def pictures(tmp_path):
    """Ten pictures of each of two classes: strokes across and down, of mixed kinds."""
    for label, (rows, columns) in {
        3: (slice(18, 22), slice(8, 32)),
        7: (slice(8, 32), slice(18, 22)),
    }.items():
        folder = tmp_path / str(label)
        folder.mkdir()
        for number in range(10):
            page = np.full((40, 40), 255, np.uint8)
            page[rows, columns] = 0
            page = page if number % 2 else 255 - page
            suffix = (".png", ".JPG", ".webp", ".bmp")[number % 4]
            Image.fromarray(page).save(folder / f"{number}{suffix}")
    return tmp_path


def test_folder_reads_every_kind_and_polarity(pictures):
    digits = Folder(str(pictures), validation_fraction=0.2, test_fraction=0.2).load()
    assert (len(digits.train), len(digits.validation), len(digits.test)) == (12, 4, 4)
    wide = np.ptp(np.nonzero(digits.test.images[digits.test.labels == 3][0] > 100)[1])
    high = np.ptp(np.nonzero(digits.test.images[digits.test.labels == 7][0] > 100)[0])
    assert wide >= 19
    assert high >= 19


def test_folder_is_the_same_twice_whatever_the_system_leaves_there(pictures):
    first = Folder(str(pictures)).load()
    (pictures / ".DS_Store").write_bytes(b"x")
    (pictures / "3" / ".DS_Store").write_bytes(b"x")
    (pictures / "7" / "Thumbs.db").write_bytes(b"x")
    assert Folder(str(pictures)).load().digest == first.digest


def test_unreadable_image_is_named(pictures):
    path = pictures / "3" / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\nno")
    with pytest.raises(DataError, match=r"3/broken\.png: the PNG image is damaged"):
        Folder(str(pictures)).load()


def test_image_without_permission_is_named(pictures):
    path = pictures / "3" / "0.png"
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(DataError, match=r"3/0\.png cannot be read"):
        Folder(str(pictures)).load()


@pytest.mark.parametrize("name", ["ten", "10", "03", "-1"])
def test_folder_that_is_no_class_is_named(pictures, name):
    (pictures / name).mkdir()
    with pytest.raises(DataError, match=f"{name} is not the name of a class"):
        Folder(str(pictures)).load()


def test_empty_class_is_named(pictures):
    (pictures / "5").mkdir()
    with pytest.raises(DataError, match="5 has no images"):
        Folder(str(pictures)).load()


def test_class_too_small_to_split_tells_which(pictures):
    (pictures / "5").mkdir()
    Image.new("L", (9, 9)).save(pictures / "5" / "a.png")
    with pytest.raises(DataError, match="class 5 has 1 samples"):
        Folder(str(pictures)).load()


def test_other_file_in_a_class_is_named(pictures):
    (pictures / "3" / "scan.tiff").write_bytes(b"x")
    with pytest.raises(DataError, match=r"scan\.tiff is not an image of a known kind"):
        Folder(str(pictures)).load()


def test_image_outside_the_classes_is_named(pictures):
    Image.new("L", (9, 9)).save(pictures / "lost.png")
    with pytest.raises(DataError, match=r"lost\.png has no class"):
        Folder(str(pictures)).load()


@pytest.mark.parametrize("target", ["loop.png", ".", "nowhere.png"])
def test_links_that_lead_nowhere_are_named(pictures, target):
    (pictures / "3" / "loop.png").symlink_to(target)
    with pytest.raises(DataError, match=r"loop\.png is not a file"):
        Folder(str(pictures)).load()


@pytest.mark.parametrize("make", [False, True])
def test_folder_without_classes_is_named(tmp_path, make):
    root = tmp_path / "root"
    if make:
        root.mkdir()
    with pytest.raises(DataError, match=r"data\.root: "):
        Folder(str(root)).load()
