"""`task=data`: the three stages, where they come from, and what changed between two."""

from __future__ import annotations

import json

import albumentations
import numpy as np
import pytest
from PIL import Image

from digits.data.augmentation import Augmentation
from digits.data.folder import Folder
from digits.data.versions import Versions
from digits.errors import DataError
from digits.tasks.data import data
from digits.tracking.store import Tracking

FLIP = Augmentation({"flip": albumentations.HorizontalFlip(p=1)})


@pytest.fixture
def versions(store, tmp_path):
    return Versions(tracking=Tracking(uri=store), cache=str(tmp_path / "cache"))


@pytest.fixture
def pictures(tmp_path):
    """Twelve strokes of each of two classes, none like another."""
    for label in (1, 7):
        (tmp_path / "pictures" / str(label)).mkdir(parents=True)
        for number in range(12):
            page = np.zeros((40, 40), np.uint8)
            page[8 : 20 + number, 10:14] = 255
            page[8 : 8 + label, 10:30] = 200
            Image.fromarray(page).save(tmp_path / "pictures" / str(label) / f"{number}.png")
    return tmp_path / "pictures"


@pytest.fixture
def run(versions, pictures, record):
    """Run the task on the folder as it is now; return the JSON that it leaves."""

    def run(augmentation=FLIP, version=None, compare=None, **options):
        source = Folder(str(pictures), version=version, store=versions)
        data(
            record,
            source=source,
            augmentation=augmentation,
            store=versions,
            compare=compare,
            **options,
        )
        return json.loads(
            (record.folder / f"{'changes' if compare else 'versions'}.json").read_text()
        )

    return run


def test_stages_are_kept_each_below_the_one_before_and_shown_as_a_tree(run, record, capsys):
    raw, preprocessed, augmented = run()
    assert [each["stage"] for each in (raw, preprocessed, augmented)] == [
        "raw", "preprocessed", "augmented",
    ]  # fmt: skip
    parents = [each["made"][0]["parent"] for each in (raw, preprocessed, augmented)]
    assert parents == [None, raw["digest"], preprocessed["digest"]]
    assert {each["made"][0]["config_digest"] for each in (raw, augmented)} == {record.config_digest}
    assert len(raw["made"][0]["commit"].removesuffix("-dirty")) == 40
    assert preprocessed["settings"]["split_seed"] == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"raw {raw['digest'][:12]}" in lines[0] and "24 samples" in lines[0]
    assert "commit" in lines[0] and "config c0ffee" in lines[0] and "new" in lines[0]
    assert lines[1].startswith("└── preprocessed ")
    assert any(line.lstrip().startswith("└── augmented ") for line in lines)
    again = run()
    assert not any(each["new"] for each in again)
    assert capsys.readouterr().out.count("kept already") == 3


def test_augmented_version_holds_the_draws_and_belongs_to_its_source(run, versions):
    *_, augmented = run(copies=2)
    assert augmented["settings"]["copies"] == 2
    content = versions.fetch(versions.find(augmented["digest"]))
    before = versions.fetch(versions.find("preprocessed:latest"))
    assert np.array_equal(content.train.images[: len(before.train)], before.train.images[..., ::-1])
    assert len(content.train) == 2 * len(before.train)


def test_without_augmentation_there_is_no_augmented_version(run):
    assert [each["stage"] for each in run(augmentation=Augmentation({}))] == ["raw", "preprocessed"]


def test_later_stages_are_made_of_the_version_that_is_named(run, pictures):
    raw, preprocessed, _ = run()
    (pictures / "1" / "0.png").unlink()
    assert [each["digest"] for each in run(version="raw:latest")[:2]] == [
        raw["digest"], preprocessed["digest"],
    ]  # fmt: skip
    begin, augmented = run(version=preprocessed["digest"])
    assert augmented["made"][-1]["parent"] == begin["digest"] == preprocessed["digest"]
    with pytest.raises(DataError, match="is augmented already"):
        run(version=augmented["digest"])


def test_changes_are_told_and_drawn(run, pictures, record, capsys):
    before = run()[0]["digest"]
    (pictures / "1" / "0.png").rename(pictures / "7" / "was_a_1.png")
    (pictures / "7" / "3.png").unlink()
    Image.fromarray(np.eye(40, dtype=np.uint8) * 255).save(pictures / "1" / "new.png")
    run()
    assert f"compare=[{before[:12]}," in capsys.readouterr().out
    found = run(compare=[before, "raw:latest"])
    assert {kind: found[kind] for kind in ("added", "removed", "relabelled", "same")} == {
        "added": 1, "removed": 1, "relabelled": 1, "same": 22,
    }  # fmt: skip
    assert found["samples"]["relabelled"] == [
        {"from": {"place": "1/0.png", "label": 1}, "to": {"place": "7/was_a_1.png", "label": 7}}
    ]
    with Image.open(record.folder / "contact_sheet.png") as sheet:
        assert sheet.size[0] > 800
    assert "contact_sheet.png" in capsys.readouterr().out


def test_versions_of_two_stages_are_not_compared(run):
    raw, preprocessed, _ = run()
    with pytest.raises(DataError, match=r"^compare: .* is raw and .* is preprocessed data"):
        run(compare=[raw["digest"], preprocessed["digest"]])
