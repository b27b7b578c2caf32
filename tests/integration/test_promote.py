"""`task=promote` on registered models: what it decides, keeps, moves and refuses."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest

from digits.errors import DataError, RegistryError, RejectedError
from digits.promotion import champion
from digits.promotion.champion import Pair, pair
from digits.promotion.gate import Gate
from digits.promotion.tickets import journal
from digits.registry.versions import register
from digits.tasks import promotion
from digits.tasks.promote import promote
from digits.tracking.store import Tracking
from tests.unit.judging import LOOSE


class Given:
    """A data source that delivers what it was given."""

    def __init__(self, digits):
        self.digits = digits

    def load(self):
        return self.digits


@pytest.fixture
def register_one(make, store, record, tmp_path):
    """Register one more version: another run with the same network."""
    numbers = itertools.count(1)

    def register_one():
        folder = tmp_path / "trainings" / str(next(numbers))
        folder.mkdir(parents=True)
        job = dataclasses.replace(record, folder=folder)
        job.config_file.write_text("seed: 3\n")
        with Tracking(uri=store).start(job) as run:
            manifest = make(folder / "bundle", run_id=run.id)
            run.log_folder(folder / "bundle", "bundle")
        return register(run.client, name="digits", run_id=run.id, manifest=manifest)

    return register_one


@pytest.fixture
def client(store):
    return Tracking(uri=store).client()


@pytest.fixture
def decide(store, record, digits, tmp_path):
    """Call the task as the command line does, each time in a folder of its own."""
    numbers = itertools.count(1)

    def decide(data=digits, limits=None, **options):
        folder = tmp_path / "promotions" / str(next(numbers))
        folder.mkdir(parents=True)
        parameters = {"gate._target_": "x", "gate.min_accuracy": 0.0}
        job = dataclasses.replace(
            record, folder=folder, task="promote", overrides=["task=promote"], parameters=parameters
        )
        job.config_file.write_text("seed: 3\n")
        given = {"action": "promote", "version": "challenger"} | options
        # The network has learned nothing: times and maps are not what is tested here.
        open_ = {"max_latency_ratio": None, "max_explanation_similarity_rise": None}
        return promote(
            job,
            source=Given(data),
            gate=Gate(**(LOOSE | open_ | (limits or {}))),
            tracking=Tracking(uri=store),
            cache=str(tmp_path / "cache"),
            **given,
        )

    return decide


def runs(client):
    experiment = client.get_experiment_by_name("digits")
    return client.search_runs(
        [experiment.experiment_id], filter_string="tags.`digits.task` = 'promote'"
    )


def evidence(client, run, tmp_path):
    folder = Path(client.download_artifacts(run.info.run_id, "promotion", str(tmp_path)))
    return json.loads((folder / "evidence.json").read_text(encoding="utf-8")), folder


def test_first_promotion_moves_the_alias_and_keeps_evidence_and_card(
    register_one, decide, client, tmp_path, capsys
):
    register_one()
    accuracy = decide()
    assert pair(client, "digits") == Pair(1, None)
    (run,) = runs(client)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["gate/passed"] == 1
    assert run.data.metrics["gate/accuracy"] == accuracy
    facts, folder = evidence(client, run, tmp_path)
    assert facts["decision"] == "passed" and facts["champion"] is None
    assert facts["limits"] == {"min_accuracy": 0.0}
    assert {each["name"] for each in facts["criteria"]} >= {
        "accuracy", "worst class", "calibration error", "mean corruption", "worst corruption",
        "time of one answer", "size", "explanation sanity",
    }  # fmt: skip
    assert all(set(each) >= {"value", "limit", "champion", "passed", "why"}
               for each in facts["criteria"])  # fmt: skip
    assert any("no champion yet" in note for note in facts["notes"])
    version = client.get_model_version("digits", "1")
    assert version.tags["promotion.decision"] == "passed"
    assert version.tags["promotion.run_id"] == run.info.run_id
    assert version.tags["promotion.evidence"].endswith("promotion/evidence.html")
    card = (folder / "model_card.md").read_text(encoding="utf-8")
    assert version.description == card
    for words in ("data", "Each digit", "Robustness", "Limits", "How to load", run.info.run_id,
                  version.run_id, facts["data"]["digest"]):  # fmt: skip
        assert words in card
    printed = capsys.readouterr().out
    assert "promoted" in printed and "evidence.html" in printed


def test_page_shows_pictures_and_needs_nothing_beside_it(register_one, decide, client, tmp_path):
    register_one()
    decide()
    register_one()
    decide()
    latest = runs(client)[0]
    facts, folder = evidence(client, latest, tmp_path)
    assert facts["champion"]["version"] == 1
    text = (folder / "evidence.html").read_text(encoding="utf-8")
    addresses = re.findall(r'(?:src|srcset|href)="([^"]*)"', text)
    assert len(addresses) >= 6
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    assert "<script" not in text and "url(" not in text and "@import" not in text


def test_rejection_keeps_evidence_moves_nothing_and_has_its_own_code(
    register_one, decide, client, tmp_path
):
    register_one()
    decide()
    register_one()
    with pytest.raises(RejectedError, match=r"^Rejected: digits version 2 .*accuracy") as caught:
        decide(limits={"min_accuracy": 1.0})
    assert caught.value.exit_code == 12
    assert "\n" not in str(caught.value)
    assert pair(client, "digits") == Pair(1, None)
    run = runs(client)[0]
    assert run.info.status == "FINISHED"
    facts, _ = evidence(client, run, tmp_path)
    assert facts["decision"] == "rejected"
    assert facts["champion"]["name"] == "digits version 1"
    tags = client.get_model_version("digits", "2").tags
    assert tags["promotion.decision"] == "rejected"
    assert tags["promotion.against"] == "1"
    assert "turned it away" in client.get_model_version("digits", "2").description


def test_champion_is_compared_replaced_and_restored(register_one, decide, client, capsys):
    for _ in range(2):
        register_one()
        decide()
    assert pair(client, "digits") == Pair(2, 1)
    capsys.readouterr()
    assert decide(action="rollback") is None
    assert pair(client, "digits") == Pair(1, 2)
    assert "version 1 is the champion again" in capsys.readouterr().out
    assert len(runs(client)) == 2  # nothing was judged


def test_judging_says_what_would_be_decided_and_moves_nothing(register_one, decide, client, capsys):
    register_one()
    assert decide(action="judge") > 0
    assert "passed; nothing is moved" in capsys.readouterr().out
    assert pair(client, "digits") == Pair(None, None)
    assert client.get_model_version("digits", "1").tags["promotion.decision"] == "passed"
    decide()
    assert pair(client, "digits") == Pair(1, None)
    assert len(runs(client)) == 2


@pytest.mark.slow
def test_version_that_was_rolled_back_does_not_come_again_by_itself(register_one, decide, client):
    for _ in range(2):
        register_one()
        decide()
    decide(action="rollback")
    with pytest.raises(RejectedError, match=r"was rolled back; .*gate\.allow_rolled_back=true"):
        decide()
    assert pair(client, "digits") == Pair(1, 2)
    decide(limits={"allow_rolled_back": True})
    assert pair(client, "digits") == Pair(2, 1)


def test_champion_already_is_said_and_judged_no_more(register_one, decide, client, capsys):
    register_one()
    decide()
    capsys.readouterr()
    assert decide() is None
    assert "is the champion already" in capsys.readouterr().out
    assert len(runs(client)) == 1


@pytest.mark.slow
def test_older_version_can_be_promoted_by_its_number(register_one, decide, client):
    for _ in range(2):
        register_one()
    decide(version=1)
    assert pair(client, "digits") == Pair(1, None)
    decide(version=client.get_model_version("digits", "2").run_id)
    assert pair(client, "digits") == Pair(2, 1)


@pytest.mark.slow
def test_other_champion_meanwhile_is_what_it_is_judged_against(
    register_one, decide, client, monkeypatch
):
    for _ in range(3):
        register_one()
    decide(version=1)
    keep, rivals = promotion.Promotion._keep, iter([2])

    def keep_slowly(self, run, case):
        keep(self, run, case)
        for rival in rivals:
            champion.promote(client, dataclasses.replace(self.challenger.version, number=rival),
                             over=1)  # fmt: skip

    monkeypatch.setattr(promotion.Promotion, "_keep", keep_slowly)
    decide(version=3)
    assert pair(client, "digits") == Pair(3, 2)
    assert client.get_model_version("digits", "3").tags["promotion.against"] == "2"


def test_data_that_a_model_may_have_seen_is_noted(register_one, decide, client, digits, tmp_path):
    register_one()
    moved = dataclasses.replace(digits, train=digits.test, test=digits.train.take(np.arange(50)))
    decide(moved)
    facts, _ = evidence(client, runs(client)[0], tmp_path)
    assert any("may have been trained on digits that it is judged on" in n for n in facts["notes"])


@pytest.mark.parametrize(
    ("chosen", "message"),
    [([], "its test split is empty"), ([3, 13], "holds the digit 3 only")],
)
def test_data_that_cannot_judge_is_refused(register_one, decide, client, digits, chosen, message):
    register_one()
    data = dataclasses.replace(digits, test=digits.test.take(np.array(chosen, dtype=int)))
    with pytest.raises(DataError, match=message):
        decide(data)
    assert pair(client, "digits") == Pair(None, None)
    assert not runs(client)


@pytest.mark.slow
def test_missing_classes_are_said(register_one, decide, client, digits, tmp_path):
    register_one()
    some = np.flatnonzero(np.isin(digits.test.labels, [1, 2, 3]))
    decide(dataclasses.replace(digits, test=digits.test.take(some)))
    facts, _ = evidence(client, runs(client)[0], tmp_path)
    assert any("do not occur: 0, 4, 5" in note for note in facts["notes"])


@pytest.mark.parametrize("wanted", ["champion", "9", "nothing"])
def test_unknown_version_is_refused_with_what_there_is(register_one, decide, client, wanted):
    register_one()
    with pytest.raises(RegistryError, match=rf"version: {wanted} is no version .*challenger \(1\)"):
        decide(version=wanted)
    assert not runs(client)


def test_nothing_to_promote_is_said(decide, client):
    for action in ("promote", "rollback"):
        with pytest.raises(RegistryError, match="no model digits is registered"):
            decide(action=action)
    assert not client.search_registered_models()


def test_bundle_that_is_not_registered_is_refused(register_one, decide, make, tmp_path):
    register_one()
    make(tmp_path / "other", run_id="f" * 32)
    with pytest.raises(RegistryError, match="is not registered as a version of digits"):
        decide(version=str(tmp_path / "other"))


def test_model_that_is_not_what_was_registered_is_refused(register_one, decide, client):
    register_one()
    client.set_model_version_tag("digits", "1", "onnx_sha256", "0" * 64)
    with pytest.raises(RegistryError, match="not the one that was trained"):
        decide()
    assert pair(client, "digits") == Pair(None, None)


@pytest.mark.slow
def test_champion_that_was_damaged_is_named_with_the_way_out(register_one, decide, client):
    for _ in range(2):
        register_one()
    decide(version=1)
    client.set_model_version_tag("digits", "1", "onnx_sha256", "0" * 64)
    with pytest.raises(RegistryError, match=r"^The champion cannot be .*version 1: .*rollback"):
        decide()
    assert pair(client, "digits") == Pair(1, None)
    assert runs(client)[0].info.status == "FAILED"


def test_left_promotion_is_finished_by_the_next_start(register_one, decide, client):
    for _ in range(2):
        register_one()
    decide(version=1)
    dead = {"host": "here", "place": "here", "pid": 1, "started": 0.0}
    move = champion.Move("promote", Pair(1, None), Pair(2, 1))
    other = client.create_model_version(
        journal("digits"),
        source="promotion:/ticket",
        tags={"state": "open", "token": "t", "beat": "0", "owner": json.dumps(dead),
              "plan": move.to_json()},
    )  # fmt: skip
    # An owner on another host would be waited for; one of ours is known to be gone.
    mine = json.loads(client.get_model_version(journal("digits"), "1").tags["owner"])
    client.set_model_version_tag(
        journal("digits"), other.version, "owner", json.dumps(mine | {"started": 1.0})
    )
    decide()  # version 2 is champion already, by then
    assert pair(client, "digits") == Pair(2, 1)


def test_card_that_is_too_long_for_a_description_is_cut_at_a_line():
    from digits.promotion.card import DESCRIPTION_CHARACTERS, description

    card = "a line of the card\n" * 1000
    text = description(card, run_id="r")
    assert len(text) <= DESCRIPTION_CHARACTERS
    assert text.endswith("card\n\n(The whole card is an artifact of run r.)\n")
    assert description("short", run_id="r") == "short"
