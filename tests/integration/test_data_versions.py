"""Data versions on a real SQLite store and a real artifact folder."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from digits.data import archive
from digits.data.raw import Raw
from digits.data.types import Digits, Split
from digits.data.uci import Uci
from digits.data.version import Made, shown
from digits.data.versions import Versions
from digits.errors import DataError, TrackingError
from digits.tracking.store import Tracking

MADE = Made.now(commit="c0ffee", config_digest="f00d")


@pytest.fixture
def at(store, tmp_path):
    """Open the versions, as another machine with a cache of its own would."""
    return lambda cache: Versions(tracking=Tracking(uri=store), cache=str(tmp_path / cache))


@pytest.fixture
def versions(at):
    return at("cache")


@pytest.fixture
def artifacts(tmp_path):
    """What the artifact folder holds: path -> (inode, time of the last change, size)."""

    def look():
        found = {}
        for path in sorted((tmp_path / "artifacts").rglob("*")):
            facts = path.stat()
            found[path] = (facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size)
        return found

    return look


def small(number, name="uci"):
    """Raw scans that differ by their number."""
    images = np.zeros((2, 8, 8), np.uint8)
    images[0, 0].view("<u8")[0] = number
    return Raw(name, "small", {"images": images, "labels": np.array([1, 2])})


# --- kept, found and fetched


def test_kept_version_is_found_by_digest_beginning_and_stage(versions, digits):
    version, is_new = versions.put(digits, "preprocessed", MADE, settings={"split_seed": 7})
    assert is_new and version.digest == digits.digest
    for wanted in (digits.digest, digits.digest[:4], "preprocessed:latest"):
        assert versions.find(wanted) == version
    assert (version.samples, version.settings) == (450, {"split_seed": 7})
    assert version.shapes["test_images"] == (80, 28, 28)
    content = versions.fetch(version)
    assert content.digest == digits.digest and content is not digits


def test_digest_covers_the_last_label(versions, digits):
    labels = digits.test.labels.copy()
    labels[-1] = (labels[-1] + 1) % 10
    test = Split(digits.test.images, labels)
    other = Digits("bars", "bars", digits.train, digits.validation, test)
    versions.put(digits, "preprocessed", MADE)
    assert versions.put(other, "preprocessed", MADE)[1]
    assert len(versions.all()) == 2


def test_second_upload_moves_no_bytes_and_is_remembered(at, artifacts, digits):
    first, _ = at("cache").put(digits, "preprocessed", MADE)
    before = artifacts()
    assert [path.name for path in before if path.is_file()] == ["arrays.npz", "version.json"]
    again = Made.now(commit="beef", config_digest="f00d", parent="1" * 64)
    for cache in ("cache", "elsewhere"):
        version, is_new = at(cache).put(digits, "preprocessed", again)
        assert (is_new, version.run_id) == (False, first.run_id)
    assert artifacts() == before
    assert [made.commit for made in version.made] == ["c0ffee", "beef"]
    assert version.parents == ["1" * 64]


def test_fetched_version_is_fetched_once_and_a_damaged_copy_again(versions, tmp_path, digits):
    version, _ = versions.put(digits, "preprocessed", MADE)
    versions.fetch(version)
    file = tmp_path / "cache" / version.digest / archive.ARRAYS
    whole, inode = file.read_bytes(), file.stat().st_ino
    versions.fetch(version)
    assert file.stat().st_ino == inode
    file.write_bytes(whole[:-1])
    assert versions.fetch(version).digest == digits.digest
    assert file.read_bytes() == whole


def test_latest_is_what_was_made_last(versions):
    for number in (1, 2, 1):
        made = Made.now(commit="c0ffee", config_digest=f"time {number}")
        versions.put(small(number), "raw", made)
    versions.put(small(3, name="mnist"), "raw", MADE)
    assert versions.find("raw:latest", name="uci").digest == small(1).digest
    assert versions.find("raw:latest", name="mnist").digest == small(3, name="mnist").digest


# --- several at once, and killed


@pytest.mark.parametrize("caches", [("one", "one", "one"), ("one", "two", "three")])
def test_several_that_bring_the_same_leave_one_version(at, digits, caches, store):
    with ThreadPoolExecutor(len(caches)) as pool:
        put = [pool.submit(at(cache).put, digits, "preprocessed", MADE) for cache in caches]
        found = [each.result() for each in put]
    assert sum(is_new for _, is_new in found) == 1
    (version,) = at("one").all()
    assert {each.run_id for each, _ in found} == {version.run_id}
    assert len(at("one").tracking.search("")) == 1  # what came too late is withdrawn
    assert at("four").fetch(version).digest == digits.digest


KILLED = """
import os, signal, sys
import numpy as np
from digits.data.raw import Raw
from digits.data.version import Made
from digits.data.versions import Versions
from digits.tracking.run import Run
from digits.tracking.store import Tracking

def half(run, source, folder):
    run.log_file(source / "arrays.npz", folder)
    os.kill(os.getpid(), signal.SIGKILL)

Run.log_folder = half
arrays = {"images": np.zeros((2, 8, 8), np.uint8), "labels": np.array([1, 2])}
versions = Versions(tracking=Tracking(uri=sys.argv[1]), cache=sys.argv[2])
versions.put(Raw("uci", "small", arrays), "raw", Made.now(commit="c", config_digest="d"))
"""


def test_killed_upload_leaves_no_version(versions, store, tmp_path, artifacts):
    command = [sys.executable, "-c", KILLED, store, str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert any(path.name == archive.ARRAYS for path in artifacts())
    content = small(0)
    assert versions.all() == []
    with pytest.raises(DataError, match="no data version is kept yet"):
        versions.find(content.digest)
    version, is_new = versions.put(content, "raw", MADE)
    assert is_new and versions.fetch(version).digest == content.digest


def test_upload_that_fails_leaves_no_version(versions, digits, tmp_path):
    versions.tracking.client()
    (tmp_path / "artifacts").rmdir()
    (tmp_path / "artifacts").write_text("in the way")
    with pytest.raises(TrackingError, match=r"^tracking\.artifacts: "):
        versions.put(digits, "preprocessed", MADE)
    assert versions.all() == []
    assert [run.info.status for run in versions.tracking.search("")] == ["FAILED"]


# --- refused


@pytest.fixture
def kept(versions, digits):
    return versions.put(digits, "preprocessed", MADE)[0]


@pytest.mark.parametrize("name", [archive.ARRAYS, archive.ABOUT])
def test_damaged_artifact_is_refused_by_name(versions, kept, artifacts, tmp_path, name):
    (file,) = (path for path in artifacts() if path.name == name)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=rf"{kept} .* damaged in the store: .*/{name} was changed"):
        versions.fetch(kept)
    file.unlink()
    with pytest.raises(DataError, match=rf"{kept} .* damaged in the store: .*/{name} is missing"):
        versions.fetch(kept)
    assert not (tmp_path / "cache" / kept.digest).exists()


def test_artifact_folder_that_is_gone_is_named(versions, kept, artifacts):
    (folder,) = (path for path in artifacts() if path.name == "data")
    folder.rename(folder.with_name("away"))
    with pytest.raises((DataError, TrackingError), match=kept.run_id):
        versions.fetch(kept)


def test_data_that_was_taken_out_can_be_kept_again(versions, kept, digits):
    versions.tracking.client().delete_run(kept.run_id)
    assert versions.put(digits, "preprocessed", MADE)[1]


@pytest.mark.parametrize("wanted", ["0" * 64, "beef", "raw:latest"])
def test_unknown_version_is_refused_with_what_there_is(versions, kept, wanted):
    with pytest.raises(DataError, match=rf"^data\.version: there is no {wanted}.*{kept} \(bars"):
        versions.find(wanted, name="bars")


@pytest.mark.parametrize("wanted", ["raw:newest", "cooked:latest", "latest", "abc", "XYZW", ""])
def test_what_names_no_version_is_refused_before_anything_is_looked_for(versions, wanted):
    with pytest.raises(DataError, match=r"^compare: a version must be a digest.*raw:latest"):
        versions.find(wanted, key="compare")
    with pytest.raises(ValueError, match="version must be a digest"):
        Uci(version=wanted, store=versions)


def test_beginning_of_two_digests_is_refused(versions):
    seen = {}
    for number in range(5000):  # 65,536 beginnings: two alike among some hundreds
        content = small(number)
        other = seen.setdefault(content.digest[:4], content)
        if other is not content:
            break
    for each in (content, other):
        versions.put(each, "raw", MADE)
    with pytest.raises(DataError, match=r"is the beginning of 2 digests: \w{64}, \w{64}"):
        versions.find(content.digest[:4])
    assert versions.find(content.digest).digest == content.digest


def test_shown_digest_is_no_number():
    assert shown(hashlib.sha256(b"").hexdigest()) == "e3b0c44298fc"
    assert shown("4510e7836612" + "3" * 51 + "a") == "4510e7836612" + "3" * 51 + "a"
    assert shown("123456789012345a" + "0" * 48) == "123456789012345a"


# --- as a source of data


def test_source_makes_of_a_raw_version_what_it_makes_of_what_it_reads(versions):
    versions.put(Uci().raw(), "raw", MADE)
    source = Uci(split_seed=4, version="raw:latest", store=versions)
    assert source.load().digest == Uci(split_seed=4).load().digest


def test_preprocessed_version_is_taken_as_it_is(versions, caplog):
    data = Uci(split_seed=4).load()
    versions.put(data, "preprocessed", MADE, settings=Uci(split_seed=4).settings_now())
    assert Uci(version=data.digest, store=versions).load().digest == data.digest
    assert "data.split_seed=0 does not count" in caplog.text
    assert "validation_fraction" not in caplog.text


def test_version_of_another_source_is_refused(versions, kept):
    message = rf"{kept} is a version of bars, not of uci: choose data=bars"
    with pytest.raises(DataError, match=message):
        Uci(version=kept.digest, store=versions).load()


def test_version_of_another_shape_is_refused(versions):
    arrays = {"images": np.zeros((2, 9, 9), np.uint8), "labels": np.array([1, 2])}
    raw, _ = versions.put(Raw("uci", "other scans", arrays), "raw", MADE)
    with pytest.raises(DataError, match=rf"{raw.digest} holds images \[2, 9, 9\]"):
        Uci(version=raw.digest, store=versions).load()
    large = {
        f"{part}_{kind}": np.zeros((4, 32, 32) if kind == "images" else 4, dtype)
        for part in archive.PARTS
        for kind, dtype in (("images", np.uint8), ("labels", np.int64))
    }
    other, _ = versions.put(Raw("uci", "large", large), "preprocessed", MADE)
    with pytest.raises(DataError, match=rf"{other.digest}: images must be uint8 \[N, 28, 28\]"):
        Uci(version=other.digest, store=versions).load()


def test_what_a_training_reads_is_kept_once_below_its_raw_version(versions, record, artifacts):
    raw, _ = versions.put(Uci().raw(), "raw", MADE)
    how = {"commit": "c", "config_digest": "d", "config": record.config_file}
    source = Uci(version=raw.digest, store=versions)
    data = source.load()
    source.keep(data, **how)
    version = versions.find(data.digest)
    assert (version.stage, version.parents) == ("preprocessed", [raw.digest])
    assert version.settings == Uci().settings_now()
    before = artifacts()
    assert any(path.name == "config.yaml" for path in before)
    for again in (Uci(store=versions), Uci(version=data.digest, store=versions)):
        again.keep(again.load(), **how)
    assert (artifacts(), versions.find(data.digest)) == (before, version)


def test_data_that_nobody_can_keep_names_its_key(digits, record):
    with pytest.raises(DataError, match=r"^keep_data: data\.store is null"):
        Uci().keep(digits, commit="c", config_digest="d", config=record.config_file)
