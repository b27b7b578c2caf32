"""The watcher on a real registry: what it hands over, follows, refuses and outlives."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest

from digits.contract.manifest import ONNX
from digits.contract.pointer import Pointer
from digits.deployment.resolve import Watch, resolve
from digits.deployment.watcher import Watcher, begin
from digits.errors import RegistryError, TrackingError
from digits.registry.versions import register
from digits.tracking.store import Tracking


@pytest.fixture
def register_one(make, graph, store, record, tmp_path):
    """Register one more version, its file unlike the others': (number, its stored bundle)."""
    numbers = itertools.count(1)

    def register_one():
        folder = tmp_path / "trainings" / str(next(numbers))
        folder.mkdir(parents=True)
        job = dataclasses.replace(record, folder=folder)
        job.config_file.write_text("seed: 3\n")
        with Tracking(uri=store).start(job) as run:
            model = onnx.load(graph)
            model.doc_string = str(folder)
            onnx.save(model, folder / ONNX)
            manifest = make(folder / "bundle", run_id=run.id, graph=folder / ONNX)
            run.log_folder(folder / "bundle", "bundle")
            uri = run.client.get_run(run.id).info.artifact_uri.removeprefix("file://")
        version = register(run.client, name="digits", run_id=run.id, manifest=manifest)
        return version.number, Path(uri) / "bundle"

    return register_one


@pytest.fixture
def client(store):
    return Tracking(uri=store).client()


@pytest.fixture
def watch(store, tmp_path):
    def watch(**changes):
        fields = {
            "pointer": tmp_path / "pointer.json",
            "tracking_uri": store,
            "cache": tmp_path / "cache",
            "watch_seconds": 0.1,
        }
        return Watch(**(fields | changes))

    return watch


def crown(client, number, alias="champion"):
    client.set_registered_model_alias("digits", alias, str(number))


def spoil(folder):
    """Change a stored network, as bad luck or a bad person would."""
    with (folder / ONNX).open("ab") as file:
        file.write(b"!")


def registered_otherwise(client, number):
    """Let the registry say another digest than the bundle has."""
    client.set_model_version_tag("digits", str(number), "onnx_sha256", "0" * 64)


def test_nothing_trained_or_no_champion_says_what_to_type(client, watch, register_one, tmp_path):
    with pytest.raises(
        RegistryError, match=r"no champion yet .*\n  scripts/run   # train.*\n.*prom"
    ):
        begin(watch())
    register_one()
    with pytest.raises(RegistryError, match=r"no champion yet .*\n  scripts/run task=promote"):
        begin(watch())
    assert not (tmp_path / "pointer.json").exists()


def test_every_name_of_a_version_is_handed_over_but_only_an_alias_followed(
    client, watch, register_one
):
    number, folder = register_one()
    crown(client, number)
    run_id = client.get_model_version("digits", "1").run_id
    for wanted in ("champion", "1", run_id, str(folder)):
        pointer = resolve(client, watch(version=wanted))
        assert pointer.champion.version == "digits/1"
        assert pointer.champion.folder.is_absolute()
        assert pointer.champion.alias == (wanted if wanted == "champion" else None)
        assert Watcher(watch(version=wanted), pointer).follows == (wanted == "champion")


def test_bundle_that_is_not_registered_is_named_by_its_digest(client, watch, make, tmp_path):
    make(tmp_path / "own", run_id="f" * 32)
    pointer = resolve(client, watch(version=str(tmp_path / "own")))
    assert pointer.champion.version == pointer.champion.onnx_sha256[:12]


def test_moved_alias_is_followed(client, watch, register_one, tmp_path):
    register_one()
    crown(client, 1)
    watcher = begin(watch())
    written = (tmp_path / "pointer.json").stat().st_ino
    watcher.look()
    assert (tmp_path / "pointer.json").stat().st_ino == written  # nothing moved, nothing written
    register_one()
    crown(client, 2)
    watcher.look()
    pointer = Pointer.read(tmp_path / "pointer.json")
    assert (pointer.champion.version, pointer.champion.alias) == ("digits/2", "champion")
    client.delete_registered_model_alias("digits", "champion")
    watcher.look()
    assert Pointer.read(tmp_path / "pointer.json") == pointer


@pytest.mark.parametrize("tamper", ["stored", "registry"])
def test_model_other_than_the_registered_one_is_refused(
    tamper, client, watch, register_one, tmp_path, caplog
):
    register_one()
    crown(client, 1)
    watcher = begin(watch())
    _, folder = register_one()
    if tamper == "stored":
        spoil(folder)
    else:
        registered_otherwise(client, 2)
    crown(client, 2)
    for _ in range(3):
        watcher.look()
    pointer = Pointer.read(tmp_path / "pointer.json")
    assert pointer.champion.version == "digits/1"
    assert pointer.refused.version == "digits/2"
    assert "sha256" in pointer.refused.reason
    assert caplog.text.count("Refused digits/2") == 1
    register_one()
    crown(client, 3)
    watcher.look()
    pointer = Pointer.read(tmp_path / "pointer.json")
    assert (pointer.champion.version, pointer.refused) == ("digits/3", None)


def test_challenger_is_handed_over_where_it_is_wanted(client, watch, register_one):
    register_one()
    crown(client, 1)
    assert resolve(client, watch()).challenger is None
    assert resolve(client, watch(challenger=True)).challenger is None  # it is the champion
    watcher = begin(watch(challenger=True))
    register_one()
    watcher.look()
    assert watcher.pointer.challenger.version == "digits/2"
    registered_otherwise(client, 2)
    pointer = resolve(client, watch(challenger=True))
    assert (pointer.challenger, pointer.refused.version) == (None, "digits/2")
    register_one()
    crown(client, 3)
    watcher.look()
    assert (watcher.pointer.champion.version, watcher.pointer.challenger) == ("digits/3", None)


def test_canary_is_only_what_the_gate_has_let_pass(client, watch, register_one):
    register_one()
    crown(client, 1)
    watcher = begin(watch(challenger=True, judged=True))
    register_one()
    for decision in (None, "rejected"):
        if decision is not None:
            client.set_model_version_tag("digits", "2", "promotion.decision", decision)
        watcher.look()
        assert watcher.pointer.challenger is None
        assert resolve(client, watch(challenger=True, judged=True)).challenger is None
    client.set_model_version_tag("digits", "2", "promotion.decision", "passed")
    watcher.look()
    assert watcher.pointer.challenger.version == "digits/2"
    assert resolve(client, watch(challenger=True, judged=True)).challenger == (
        watcher.pointer.challenger
    )


def test_registry_that_does_not_answer_is_outlived(client, watch, register_one, store):
    register_one()
    crown(client, 1)
    watcher = begin(watch())
    database = Path(store.removeprefix("sqlite:///"))
    database.rename(database.with_suffix(".away"))
    database.mkdir()  # no file can be opened there
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 4:
            database.rmdir()
            database.with_suffix(".away").rename(database)
            register_one()
            crown(client, 2)
        if len(waits) == 6:
            raise KeyboardInterrupt

    watcher._client = None
    with pytest.raises(KeyboardInterrupt):
        watcher.follow(sleep)
    assert waits == pytest.approx([0.2, 0.4, 0.8, 1.6, 0.1, 0.1])
    assert watcher.pointer.champion.version == "digits/2"


def test_start_without_a_registry_goes_on_from_the_pointer(client, watch, register_one, tmp_path):
    register_one()
    crown(client, 1)
    begin(watch())
    nowhere = watch(tracking_uri="http://127.0.0.1:9")
    assert begin(nowhere).pointer.champion.version == "digits/1"
    (tmp_path / "pointer.json").unlink()
    with pytest.raises(TrackingError, match="no MLflow server answers"):
        begin(nowhere)


def test_process_follows_and_ends_with_its_parent(client, watch, register_one, tmp_path):
    register_one()
    crown(client, 1)
    file = tmp_path / "watch.json"
    file.write_text(watch().model_dump_json())
    command = [sys.executable, "-m", "digits.deployment.watcher", str(file)]
    process = subprocess.Popen([*command, "--supervised"], stdin=subprocess.PIPE)
    try:
        until((tmp_path / "pointer.json").exists)
        register_one()
        crown(client, 2)
        until(lambda: Pointer.read(tmp_path / "pointer.json").champion.number == 2)
        process.stdin.close()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
    client.delete_registered_model_alias("digits", "champion")
    (tmp_path / "pointer.json").unlink()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "scripts/run task=promote" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "pointer.json").exists()


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
