"""`task=lineage`: the chain from data to decisions, from wherever one asks."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from digits.contract.prediction import Deployment, new_id
from digits.contract.traffic import TrafficStore
from digits.data.raw import Raw
from digits.data.version import Made
from digits.data.versions import Versions
from digits.errors import RegistryError, TrafficError
from digits.promotion import champion
from digits.registry.lineage_walk import lineage
from digits.registry.versions import Version, register
from digits.tasks.lineage import lineage as task
from digits.tracking.store import Tracking
from tests.integration.traffic import prediction

ROOT = Path(__file__).resolve().parents[2]
MADE = {"commit": "c" * 40, "config_digest": "d" * 64}


@pytest.fixture
def tracking(store):
    return Tracking(uri=store)


@pytest.fixture
def versions(tracking, tmp_path):
    return Versions(tracking=tracking, cache=str(tmp_path / "cache"))


@pytest.fixture
def raw(digits):
    arrays = {"images": digits.train.images, "labels": digits.train.labels}
    return Raw("bars", "300 drawn bars", arrays)


@pytest.fixture
def kept(versions, raw, digits):
    """Raw data, and what was made of it."""
    versions.put(raw, "raw", Made.now(**MADE))
    versions.put(digits, "preprocessed", Made.now(**MADE, parent=raw.digest))


@pytest.fixture
def registered(stored, digits):
    """A run on the preprocessed data, with version 1."""
    client, run_id, manifest = stored
    client.set_tag(run_id, "digits.data_digest", digits.digest)
    client.set_tag(run_id, "digits.data_name", digits.name)
    register(client, name="digits", run_id=run_id, manifest=manifest)
    return run_id


@pytest.fixture
def begin(tracking, record, tmp_path, digits):
    """Open and end a run of another task, with further tags."""

    def begin(task, data=True, parent=None, **tags):
        folder = tmp_path / f"{task}-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        made = dataclasses.replace(record, folder=folder, task=task, parent_run_id=parent)
        with tracking.start(made) as run:
            if data:
                run.log_dataset(digits.name, digest=digits.digest, description="bars")
            run.set_tags({f"digits.{name}": value for name, value in tags.items()})
        return run.id

    return begin


@pytest.fixture
def of(tracking, versions):
    return lambda wanted: lineage(tracking, versions, wanted, name="digits")


def chain(found):
    """Return the lineage as nested (kind, [...]), each node once."""

    def below(node):
        return node.kind, [below(each) for each in found.after(node.id)]

    return [below(root) for root in found.roots()]


def test_every_end_of_the_chain_gives_the_whole_of_it(
    kept, registered, begin, of, raw, digits, record
):
    evaluation = begin("evaluate", model_version="digits/1", model_run_id=registered)
    decision = begin("promote", model_version="digits/1")
    whole = [
        (
            "raw data",
            [
                (
                    "preprocessed data",
                    [
                        (
                            "training run",
                            [("model version", [("evaluation", []), ("decision", [])])],
                        )
                    ],
                )
            ],
        )
    ]
    names = ["challenger", "1", registered, str(record.folder), raw.digest, digits.digest[:12]]
    for name in names:
        assert chain(of(name)) == whole, name
    for study in (evaluation, decision):
        (root,) = of(study).roots()
        assert (root.kind, of(study).subject) == ("raw data", study)
        assert len(of(study).nodes) == 5  # itself, and not the other study


def test_facts_say_what_made_each_thing(kept, registered, of, raw, digits):
    found = of("challenger")
    data, run, version = (found.nodes[each] for each in (digits.digest, registered, "digits/1"))
    assert data.facts["made"][0]["commit"] == "c" * 40
    assert data.facts["made"][0]["parent"] == raw.digest
    assert run.facts["config_digest"] == "c0ffee"
    assert run.facts["seed"] == "3"
    assert run.facts["commit"]
    assert "torch" in run.facts["libraries"]
    assert version.facts["aliases"] == ["challenger"]
    assert len(version.facts["onnx_sha256"]) == 64
    assert version.lacks == (
        "no evaluation on record (task=evaluate)",
        "no decision of the gate on record (task=promote)",
    )


def test_data_that_nobody_kept_is_named_all_the_same(registered, of, digits):
    for name in ("1", digits.digest, digits.digest[:8]):
        found = of(name)
        assert found.nodes[digits.digest].lacks == ("its content is not kept (task=data keeps it)",)
        assert found.nodes[digits.digest].facts == {"name": "bars"}
        assert "digits/1" in found


def test_deleted_run_leaves_a_chain_from_what_the_version_says(registered, of, stored, digits):
    client = stored[0]
    client.delete_run(registered)
    assert "it is marked as deleted in the store" in of("1").nodes[registered].lacks
    client.set_model_version_tag("digits", "1", "data_name", "bars")
    found = of("1")
    assert chain(found) == [("data", [("training run", [("model version", [])])])]


def test_sweep_stands_between_the_data_and_its_jobs(begin, tracking, of, digits):
    sweep = tracking.create("sweep-a", {"digits.task": "sweep"}, parent_run_id=None)
    sweep.end("FINISHED")
    jobs = [begin("train", parent=sweep.id) for _ in range(2)]
    three = [("data", [("sweep", [("training run", []), ("training run", [])])])]
    assert chain(of(sweep.id)) == chain(of(digits.digest)) == three
    assert chain(of(jobs[1])) == [("data", [("sweep", [("training run", [])])])]


def test_reproduction_stands_below_its_original(begin, of, digits):
    original = begin("train")
    again = begin("train", reproduces=original, reproduced="true")
    both = [("data", [("training run", [("training run", [])])])]
    for name in (original, again, digits.digest):
        assert chain(of(name)) == both, name


def test_model_of_a_run_that_is_gone_is_said_to_be(begin, of):
    study = begin("evaluate", model_version="digits/9")
    assert "the model that it is about is gone: digits/9" in of(study).nodes[study].lacks


def test_promotions_and_rollbacks_stand_below_their_versions(
    registered, tracking, versions, record, capsys
):
    client = tracking.client()
    champion.promote(client, Version("digits", 1), over=None)
    task(record, of="champion", tracking=tracking, versions=versions, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((record.folder / "lineage.json").read_text())
    (move,) = [node for node in printed["nodes"] if node["kind"] == "promotion"]
    assert move["facts"]["after"] == {"champion": 1, "previous": None}
    assert {"from": "digits/1", "to": move["id"]} in printed["edges"]


def test_tree_marks_what_was_asked_for(kept, registered, tracking, versions, record, capsys):
    task(record, of=1, tracking=tracking, versions=versions)
    lines = capsys.readouterr().out.splitlines()
    (asked,) = [line for line in lines if "← asked for" in line]
    assert "model version digits 1  (challenger)" in asked
    assert "accuracy 98.77%" in asked
    order = [next(i for i, line in enumerate(lines) if kind in line) for kind in (
        "raw data", "preprocessed data", "training run", "model version",
    )]  # fmt: skip
    assert order == sorted(order)


@pytest.mark.parametrize("wanted", ["", "champion", "7", "a" * 32, "b" * 64, "no/such/folder"])
def test_unknown_name_is_refused(registered, of, wanted):
    with pytest.raises(RegistryError, match=r"^of: .* is no version of digits, no run and no data"):
        of(wanted)


def test_folder_that_is_of_no_run_is_refused(of, tmp_path):
    with pytest.raises(RegistryError, match="neither the folder of a run"):
        of(str(tmp_path))


@pytest.fixture
def traffic(tmp_path):
    """A traffic store with two deployments: version 1, later also an unregistered model."""
    store = TrafficStore(f"sqlite:///{tmp_path}/traffic.db")
    store.deploy(Deployment("first", 1.7e9, "local", "desk", "digits/1", "5e" * 32))
    rows = [prediction(version="digits/1", deployment="first") for _ in range(3)]
    rows += [prediction(version="0" * 12, deployment="second")]
    store.write(rows)
    yield store
    store.close()


def test_prediction_is_walked_back_to_pixels_and_config(
    kept, registered, tracking, versions, traffic, raw, digits
):
    asked = traffic.recent(4)[0].prediction
    traffic.correct(asked.id, 8, origin="page")
    found = lineage(tracking, versions, asked.id, name="digits", traffic=traffic)
    assert found.subject == asked.id
    kinds = ["raw data", "preprocessed data", "training run", "model version", "deployment"]
    ids = [raw.digest, digits.digest, registered, "digits/1", "first@digits/1", asked.id]
    (node,) = found.roots()
    for kind, identifier in zip([*kinds, "prediction"], ids, strict=True):
        assert (node.kind, node.id) == (kind, identifier)
        (node,) = found.after(node.id)
    assert (node.kind, node.facts["label"], node.facts["origin"]) == ("correction", 8, "page")
    facts = found.nodes[asked.id].facts
    assert (facts["digit"], facts["version"], facts["suggestion"]) == (3, "digits/1", 8)
    assert len(facts["probabilities"]) == 10
    assert "pixels" not in facts
    deployment = found.nodes["first@digits/1"].facts
    assert (deployment["host"], deployment["predictions"]) == ("desk", 3)


def test_version_shows_where_it_has_answered(registered, tracking, versions, traffic):
    found = lineage(tracking, versions, "challenger", name="digits", traffic=traffic)
    assert [node.id for node in found.after("digits/1")] == ["first@digits/1"]
    assert found.nodes["first@digits/1"].facts["predictions"] == 3


def test_prediction_of_a_model_that_is_not_registered(registered, tracking, versions, traffic):
    asked = traffic.recent(1)[0].prediction
    found = lineage(tracking, versions, asked.id, name="digits", traffic=traffic)
    assert chain(found) == [("deployment", [("prediction", [])])]
    assert found.nodes[f"second@{'0' * 12}"].lacks == (
        "who started it, and where, is not on record",
        f"the model that answered is not registered: {'0' * 12}",
    )


def test_tree_tells_a_prediction_without_its_pixels(
    registered, tracking, versions, traffic, record, capsys
):
    asked = traffic.recent(4)[0].prediction
    traffic.correct(asked.id, 8, origin="page")
    url = traffic.name
    task(record, of=asked.id, tracking=tracking, versions=versions, traffic_url=url)
    shown = " ".join(capsys.readouterr().out.split())
    assert "deployment first local on desk 3 predictions" in shown
    assert f"prediction {asked.id}" in shown
    assert "answered 3 (75.0%)" in shown
    assert "8 suggested through page" in shown
    written = (record.folder / "lineage.json").read_text()
    assert "pixels" not in written


def test_traffic_store_that_is_not_there_is_neither_made_nor_missed(
    registered, tracking, versions, record, tmp_path
):
    url = f"sqlite:///{tmp_path}/none/traffic.db"
    task(record, of="1", tracking=tracking, versions=versions, traffic_url=url)
    assert not (tmp_path / "none").exists()
    with pytest.raises(RegistryError, match="no prediction \\(there is no traffic store\\)"):
        task(record, of=new_id(), tracking=tracking, versions=versions, traffic_url=url)
    url = "postgresql://user:s3cret@127.0.0.1:9/x"
    with pytest.raises(TrafficError, match="user:\\*\\*\\*@"):
        task(record, of="1", tracking=tracking, versions=versions, traffic_url=url)


def test_command_loads_no_torch_and_asks_nobody(registered, store, tmp_path):
    code = f"""
import runpy, socket, sys
def refuse(*arguments): raise AssertionError(f"asked {{arguments}}")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
sys.argv = ["run.py", "task=lineage", "paths.root={tmp_path}/out", "tracking.uri={store}"]
runpy.run_path({str(ROOT / "run.py")!r}, run_name="__main__")
heavy = {{"torch", "pytorch_lightning", "ray", "onnxruntime", "albumentations", "captum"}}
print("loaded:", *sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "digits 1  (challenger)" in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded:"
