"""The models in use: swapped, refused, and shared out between champion and challenger."""

from __future__ import annotations

import logging
import shutil
import time
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest

from digits.contract.manifest import MANIFEST, ONNX, Manifest, sha256_of
from digits.contract.pointer import Pointed, Pointer, Refused
from digits.errors import RegistryError
from serving.current import Current
from serving.settings import Settings

IMAGES = np.zeros((3, 28, 28), np.uint8)
KEYS = [f"client-{number}" for number in range(4000)]


@pytest.fixture
def bundle(make, tmp_path):
    """Return a version whose bundle is in a folder of its own."""
    made = tmp_path / "made"
    make(made)

    def bundle(number):
        folder = tmp_path / f"bundle-{number}"
        shutil.copytree(made, folder)
        digest = Manifest.read(folder).files[ONNX]
        return Pointed(name="digits", number=number, folder=folder, onnx_sha256=digest)

    return bundle


@pytest.fixture
def pointer(tmp_path):
    return tmp_path / "pointer.json"


@pytest.fixture
def current(pointer, request):
    """Return what serves the pointer, stopped in the end."""

    def current(**challenger):
        made = Current(Settings.of({"pointer": pointer, "challenger": challenger}))
        request.addfinalizer(made.stop)
        made.start()
        return made

    return current


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def damage(pointed):
    with (pointed.folder / ONNX).open("ab") as file:
        file.write(b"!")


def test_bundle_folder_is_served_as_it_is(bundle):
    pointed = bundle(1)
    current = Current(Settings(pointer=pointed.folder))
    current.start()
    assert current.choose("key") == (current.champion, None)
    assert current.champion.version == pointed.onnx_sha256[:12]
    assert current.challenger is None
    current.stop()


def test_moved_pointer_is_followed_and_a_request_keeps_its_model(bundle, pointer, current):
    Pointer(champion=bundle(1)).write(pointer)
    served = current()
    model, _ = served.choose(None)
    Pointer(champion=bundle(2)).write(pointer)
    until(lambda: served.champion.version == "digits/2")
    assert model.version == "digits/1"
    assert model.predict(IMAGES).probabilities.shape == (3, 10)
    assert (served.swapped, served.refused) == (1, 0)


def test_pointer_written_anew_with_the_same_model_swaps_nothing(bundle, pointer, current):
    first = bundle(1)
    Pointer(champion=first).write(pointer)
    served = current()
    model = served.champion
    Pointer(champion=first.model_copy(update={"alias": "champion"})).write(pointer)
    served.look()
    assert served.champion is model and served.swapped == 0


def tampered(bundle):
    pointed = bundle(2)
    damage(pointed)
    return pointed, "was changed"


def other_than_registered(bundle):
    # Whole in itself: file and manifest were changed together.
    pointed = bundle(2)
    damage(pointed)
    manifest = Manifest.read(pointed.folder)
    files = manifest.files | {ONNX: sha256_of(pointed.folder / ONNX)}
    manifest.model_copy(update={"files": files}).write(pointed.folder)
    return pointed, "was registered|cannot be served"


def another_manifest(bundle):
    pointed = bundle(2)
    manifest = Manifest.read(pointed.folder)
    pointed = pointed.model_copy(update={"manifest_sha256": manifest.sha256})
    manifest.model_copy(update={"temperature": 9.0}).write(pointed.folder)
    return pointed, "is not what was registered"


def no_graph(bundle):
    pointed = bundle(2)
    (pointed.folder / ONNX).write_bytes(b"no graph")
    digest = sha256_of(pointed.folder / ONNX)
    manifest = Manifest.read(pointed.folder)
    manifest.model_copy(update={"files": manifest.files | {ONNX: digest}}).write(pointed.folder)
    return pointed.model_copy(update={"onnx_sha256": digest}), "cannot be served"


def without_manifest(bundle):
    pointed = bundle(2)
    (pointed.folder / MANIFEST).unlink()
    return pointed, "is not a model bundle"


@pytest.mark.parametrize(
    "spoil", [tampered, other_than_registered, another_manifest, no_graph, without_manifest]
)
def test_spoilt_model_is_refused_and_the_old_one_goes_on(spoil, bundle, pointer, current, caplog):
    Pointer(champion=bundle(1)).write(pointer)
    served = current()
    spoilt, reason = spoil(bundle)
    Pointer(champion=spoilt).write(pointer)
    until(lambda: served.refused == 1)
    (line,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert line.message.startswith("Refused digits/2: ")
    assert line.message.endswith("Answers still come from digits/1")
    assert any(part in line.message for part in reason.split("|"))
    assert served.choose(None)[0].version == "digits/1"
    Pointer(champion=bundle(3)).write(pointer)
    until(lambda: served.champion.version == "digits/3")
    assert (served.swapped, served.refused) == (1, 1)


def test_refused_model_is_taken_once_it_is_whole(bundle, pointer, current, monkeypatch):
    monkeypatch.setattr("serving.current.AGAIN_SECONDS", 0.0)
    Pointer(champion=bundle(1)).write(pointer)
    served = current()
    second = bundle(2)
    whole = (second.folder / ONNX).read_bytes()
    damage(second)
    Pointer(champion=second).write(pointer)
    until(lambda: served.refused == 1)
    served.look()
    assert served.refused == 1  # met again, not counted again
    (second.folder / ONNX).write_bytes(whole)
    until(lambda: served.champion.version == "digits/2")


def test_damaged_pointer_is_refused(bundle, pointer, current):
    Pointer(champion=bundle(1)).write(pointer)
    served = current()
    pointer.write_text("{")
    until(lambda: served.refused == 1)
    pointer.unlink()
    until(lambda: served.refused == 2)
    assert served.champion.version == "digits/1"


def test_refusal_of_the_watcher_is_counted_and_told_once(bundle, pointer, current, caplog):
    first = bundle(1)
    Pointer(champion=first).write(pointer)
    served = current()
    refused = Refused(version="digits/2", reason="other digest", time=datetime.now(UTC))
    for _ in range(2):
        Pointer(champion=first, refused=refused).write(pointer)
        served.look()
    assert served.refused == 1
    assert "Refused digits/2: other digest" in caplog.text


def test_without_a_model_there_is_no_start(bundle, pointer, tmp_path):
    with pytest.raises(RegistryError, match="no model to serve"):
        Current(Settings(pointer=pointer)).start()
    spoilt, _ = tampered(bundle)
    Pointer(champion=spoilt).write(pointer)
    with pytest.raises(RegistryError, match="was changed"):
        Current(Settings(pointer=pointer)).start()


def test_challenger_is_not_loaded_where_it_is_off(bundle, pointer, current):
    Pointer(champion=bundle(1), challenger=bundle(2)).write(pointer)
    served = current()
    assert served.challenger is None
    assert all(served.choose(key)[1] is None for key in KEYS[:100])


def test_shadow_answers_its_share_unseen(bundle, pointer, current):
    Pointer(champion=bundle(1), challenger=bundle(2)).write(pointer)
    served = current(mode="shadow", percent=25)
    chosen = [served.choose(key) for key in KEYS]
    assert {model.version for model, _ in chosen} == {"digits/1"}
    shadows = [shadow for _, shadow in chosen if shadow is not None]
    assert {shadow.version for shadow in shadows} == {"digits/2"}
    assert 0.22 < len(shadows) / len(KEYS) < 0.28


def test_canary_is_sticky_and_grows_without_changing_sides(bundle, pointer, current):
    Pointer(champion=bundle(1), challenger=bundle(2)).write(pointer)
    shares = []
    for percent in (0, 5, 50, 100):
        served, again = (current(mode="canary", percent=percent) for _ in range(2))
        answered = [served.choose(key) for key in KEYS]
        assert [each[0].version for each in answered] == [
            again.choose(key)[0].version for key in KEYS
        ]
        assert all(
            shadow is None or (model.version, shadow.version) == ("digits/2", "digits/1")
            for model, shadow in answered
        )
        shares.append(
            {
                key
                for key, (model, _) in zip(KEYS, answered, strict=True)
                if model.version == "digits/2"
            }
        )
    assert [round(len(share) / len(KEYS), 1) for share in shares] == [0.0, 0.1, 0.5, 1.0]
    assert all(smaller <= larger for smaller, larger in pairwise(shares))


def test_no_key_and_odd_keys_are_answered(bundle, pointer, current):
    Pointer(champion=bundle(1), challenger=bundle(2)).write(pointer)
    served = current(mode="canary", percent=100)
    assert served.choose(None)[0].version == "digits/1"
    assert {served.choose(key)[0].version for key in ("", "é", "\ud800", "x" * 10_000)} == {
        "digits/2"
    }


@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_agreement_and_times_of_both_are_counted(mode, bundle, pointer, current, digits):
    Pointer(champion=bundle(1), challenger=bundle(2)).write(pointer)
    served = current(mode=mode, percent=100)
    model, other = served.choose("key")
    images = digits.test.images
    answers = model.predict(images)
    assert served.comparison.put(other, images, answers, 5.0)
    wrong = np.roll(answers.probabilities, 1, axis=1)
    assert served.comparison.put(other, images, type(answers)(wrong, None), 5.0)
    served.stop()
    counts = served.comparison
    assert (counts.agreed, counts.disagreed) == (len(images), len(images))
    assert (counts.compared, counts.skipped) == (2, 0)
    seconds = [counts.champion_seconds, counts.challenger_seconds]
    fast, slow = seconds if mode == "canary" else reversed(seconds)
    assert slow == 10.0 and 0 < fast < 1


def test_shadow_that_is_behind_delays_nobody(bundle, pointer, current):
    Pointer(champion=bundle(1), challenger=bundle(2)).write(pointer)
    served = current(mode="shadow", percent=100)
    model, other = served.choose("key")
    many = np.zeros((2000, 28, 28), np.uint8)
    answers = model.predict(many)
    began = time.perf_counter()
    taken = [served.comparison.put(other, many, answers, 0.0) for _ in range(200)]
    assert time.perf_counter() - began < 0.5
    assert served.comparison.skipped == taken.count(False) > 0


def test_challenger_that_goes_is_put_aside(bundle, pointer, current):
    first, second = bundle(1), bundle(2)
    Pointer(champion=first, challenger=second).write(pointer)
    served = current(mode="shadow", percent=100)
    damaged, _ = tampered(lambda number: bundle(number + 1))
    Pointer(champion=first, challenger=damaged).write(pointer)
    until(lambda: served.refused == 1)
    assert served.challenger.version == "digits/2"
    Pointer(champion=second).write(pointer)
    until(lambda: served.challenger is None)
    assert served.champion.version == "digits/2"


def test_choosing_costs_less_than_a_microsecond(bundle, pointer, current):
    Pointer(champion=bundle(1)).write(pointer)
    choose = current().choose
    times = []
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(1000):
            choose("key")
        times.append(time.perf_counter() - began)
    assert min(times) < 1e-3
