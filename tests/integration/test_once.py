"""`once=<text>`: what the same training has registered is given, and nothing else is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from digits.errors import RegistryError, RejectedError
from digits.promotion import champion
from digits.promotion.promoted import assert_promoted
from digits.registry.versions import CHALLENGER, DECISION, Version, register, tag
from digits.tasks.once import VERSION_FILE, earlier
from digits.tracking.store import Tracking


@pytest.fixture
def registered(stored, store):
    """A version that a training of the configuration c0ffee has registered."""
    client, run_id, manifest = stored
    client.log_metric(run_id, "validation/accuracy", 0.75)
    client.log_metric(run_id, "system/cpu", 1.0)
    return register(client, name="digits", run_id=run_id, manifest=manifest)


def test_the_version_of_the_same_training_is_given_with_its_files(
    registered, record, store, tmp_path
) -> None:
    found = earlier(record, Tracking(uri=store), "digits")
    assert found is not None
    assert found.version == registered
    assert found.metrics == {"validation/accuracy": 0.75}
    assert found.selected == 0.75
    again = replace(record, folder=tmp_path / "again")
    again.folder.mkdir()
    found.give(again, Tracking(uri=store), tmp_path / "cache")
    assert (again.folder / "bundle" / "manifest.json").is_file()
    told = json.loads((again.folder / VERSION_FILE).read_text())
    assert told == {"name": "digits", "number": 1, "run_id": found.run_id}


def test_one_that_was_killed_before_it_made_a_challenger_is_made_one(
    registered, record, store, tmp_path
) -> None:
    client = Tracking(uri=store).client()
    client.delete_registered_model_alias("digits", CHALLENGER)
    found = earlier(record, Tracking(uri=store), "digits")
    assert found is not None
    again = replace(record, folder=tmp_path / "again")
    again.folder.mkdir()
    found.give(again, Tracking(uri=store), tmp_path / "cache")
    assert int(client.get_model_version_by_alias("digits", CHALLENGER).version) == 1


@pytest.mark.parametrize("name", ["digits", "others"])
def test_another_configuration_or_model_has_no_such_training(
    registered, record, store, name: str
) -> None:
    changed = record if name == "others" else replace(record, config_digest="0ther")
    assert earlier(changed, Tracking(uri=store), name) is None


def test_a_training_that_was_stopped_before_it_registered_does_not_count(
    stored, record, store
) -> None:
    assert earlier(record, Tracking(uri=store), "digits") is None


def test_only_what_the_gate_has_promoted_may_be_deployed(registered, store) -> None:
    client = Tracking(uri=store).client()
    with pytest.raises(RejectedError, match="the gate was never asked"):
        assert_promoted(client, registered)
    tag(client, registered, {DECISION: "rejected"})
    with pytest.raises(RejectedError, match="the gate has rejected it"):
        assert_promoted(client, registered)
    tag(client, registered, {DECISION: "passed"})
    with pytest.raises(RejectedError, match="the champion is none"):
        assert_promoted(client, registered)
    champion.promote(client, registered, over=None)
    assert_promoted(client, registered)
    with pytest.raises(RegistryError, match="there is no digits version 9"):
        assert_promoted(client, Version("digits", 9))
