"""What `task=data` prints: digests begin with a letter as often as not."""

from __future__ import annotations

from digits.data.version import Made, Version
from digits.tasks.screens.data import Kept, show


def version(digest, stage="raw", parent=None, **settings):
    made = Made.now(commit="c0ffee" * 6 + "beef-dirty", config_digest="f00d" * 16, parent=parent)
    shapes = {"images": (1200, 8, 8), "labels": (1200,)}
    return Version(digest, stage, "uci", "scans", settings, shapes, (made,), "run", {})


def test_versions_are_told_below_their_parents_with_commands_that_can_be_typed(capsys):
    old, new = version("abc" * 21 + "d"), version("cba" * 21 + "d")
    steps = {"augmentation.steps.rotate.p": 1, "augmentation.steps.rotate.limit": "[-9,9]"}
    augmented = version("e" * 64, "augmented", new.digest, copies=2, seed=0, split_seed=1, **steps)
    kept = [Kept(new, is_new=True, seconds=1.25), Kept(augmented, is_new=False, seconds=0)]
    show(kept, [old, new, augmented])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("raw abcabcabcabc  1,200 samples")
    assert lines[1].endswith("commit c0ffeec0-dirty  config f00df00d  new, 1.2 s")
    assert lines[2].startswith("└── augmented eeeeeeeeeeee") and lines[2].endswith("kept already")
    assert lines[3].strip() == "copies=2 seed=0 rotate"
    told = "\n".join(lines[4:])
    assert "data.version=eeeeeeeeeeee augmentation=none" in told
    assert "compare=[abcabcabcabc,cbacbacbacba]" in told
