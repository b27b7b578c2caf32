"""What changed between two versions: added, removed, relabelled, moved."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from digits.data.changes import changes
from digits.data.folder import Folder
from digits.data.raw import Raw
from digits.data.types import Digits, Split
from digits.data.uci import Uci
from digits.evaluation.contact_sheet import Strip, contact_sheet


def with_train(digits, images, labels):
    return Digits("bars", "bars", Split(images, labels), digits.validation, digits.test)


def test_equal_data_has_no_changes_whatever_the_order(digits):
    order = np.random.default_rng(0).permutation(len(digits.train))
    again = Digits("b", "b", digits.train.take(order), digits.validation, digits.test)
    assert changes(digits, again).counts() == {
        "added": 0, "removed": 0, "relabelled": 0, "moved": 0, "same": 450,
    }  # fmt: skip


def test_each_kind_of_change_is_found(digits):
    images, labels = digits.train.images.copy(), digits.train.labels.copy()
    labels[5] = (labels[5] + 1) % 10
    images[9, 0, 0] ^= 255
    found = changes(digits, with_train(digits, images[:-1], labels[:-1]))
    assert found.counts() == {
        "added": 1, "removed": 2, "relabelled": 1, "moved": 0, "same": 447,
    }  # fmt: skip
    (pair,) = found.relabelled
    assert [each.place for each in pair] == ["train[5]", "train[5]"]
    assert pair[1].label == labels[5] == (pair[0].label + 1) % 10
    assert np.array_equal(found.added[0].picture(), images[9])
    assert {each.place for each in found.removed} == {"train[9]", "train[299]"}
    told = found.to_dict(most=1)
    assert (told["removed"], len(told["samples"]["removed"])) == (2, 1)
    assert told["samples"]["relabelled"][0]["to"] == {"place": "train[5]", "label": int(labels[5])}


def test_another_split_of_the_same_scans_only_moves_them():
    found = changes(Uci().load(), Uci(split_seed=1).load())
    counts = found.counts()
    assert counts["moved"] > 100
    assert counts["moved"] + counts["same"] == 1797
    assert all(old.part != new.part and old.label == new.label for old, new in found.moved)


def test_of_equal_pictures_each_counts_for_itself(digits):
    one = np.zeros((3, 28, 28), np.uint8)
    before = with_train(digits, one, np.array([1, 1, 2]))
    after = with_train(digits, one[:2], np.array([1, 3]))
    assert changes(before, after).counts() == {
        "added": 0, "removed": 1, "relabelled": 1, "moved": 0, "same": 151,
    }  # fmt: skip


def test_raw_scans_are_compared(digits):
    arrays = {"images": digits.test.images[:5, :8, :8], "labels": digits.test.labels[:5]}
    other = {"images": arrays["images"], "labels": np.array([0, 1, 2, 3, 9])}
    found = changes(Raw("uci", "", arrays), Raw("uci", "", other))
    assert (found.counts()["relabelled"], found.counts()["same"]) == (1, 4)


def test_file_moved_to_another_class_is_relabelled_and_a_renamed_one_is_the_same(tmp_path):
    for label in (2, 6):
        (tmp_path / str(label)).mkdir()
        for number in range(4):
            page = np.zeros((30, 30), np.uint8)
            page[5:25, 4 + 3 * number + label] = 255
            Image.fromarray(page).save(tmp_path / str(label) / f"{number}.png")
    before = Folder(str(tmp_path)).raw()
    (tmp_path / "2" / "0.png").rename(tmp_path / "6" / "was_a_2.png")
    (tmp_path / "2" / "1.png").rename(tmp_path / "2" / "one.png")
    (tmp_path / "6" / "3.png").unlink()
    found = changes(before, Folder(str(tmp_path)).raw())
    assert [[each.place for each in pair] for pair in found.relabelled] == [
        ["2/0.png", "6/was_a_2.png"]
    ]
    assert [each.place for each in found.removed] == ["6/3.png"]
    assert found.counts()["same"] == 6
    assert found.relabelled[0][1].picture().shape == (28, 28)


@pytest.mark.parametrize("count", [0, 1, 30])
def test_contact_sheet_is_drawn_of_any_number_and_size(tmp_path, count):
    pictures = [np.full((8 + number, 9), 16, np.uint8) for number in range(count)]
    strips = [
        Strip(f"{count} added", pictures, ["3"] * count),
        Strip("0 removed", [], []),
    ]
    file = contact_sheet(strips, tmp_path / "sheet.png", title="a → b")
    with Image.open(file) as image:
        assert image.size[0] > 800
        assert (np.asarray(image.convert("L")) < 60).any()
