"""What a training with features learns from, and what stays on record of it."""

from __future__ import annotations

import pytest

from digits.errors import ConfigError
from digits.features.ingest import ingest, samples_of
from digits.features.learned import AS_OF_TAG, SERVICE_TAG, Learned, of_one_time
from digits.features.store import FeatureStore
from digits.tracking.store import Tracking
from tests.integration.featured import START, Service, few, needs_feast

pytestmark = needs_feast


class Few:
    """A source of few digits, which keeps nothing."""

    store = None

    def load(self):
        return few()


@pytest.fixture(name="features")
def _features(tmp_path):
    store = FeatureStore(root=str(tmp_path / "store"), online=f"sqlite:///{tmp_path}/online.db")
    ingest(store, few(), moment=START)
    yield store
    store.close()


def test_a_resumed_run_learns_what_it_began_with(features, tmp_path):
    first = Learned(Few(), features, tmp_path)
    assert first.load().digest == few().digest
    service = Service(f"sqlite:///{tmp_path}/traffic.db")
    service.labels.label(service.queue(service.serve()[0]), "rater_a", 4)
    service.push(features)
    service.close()
    again = Learned(Few(), features, tmp_path)
    assert again.as_of == first.as_of and again.load().digest == few().digest
    (tmp_path / "other").mkdir()
    assert len(Learned(Few(), features, tmp_path / "other").load().train) == 41


def test_the_time_of_the_configuration_counts(features, tmp_path):
    fixed = FeatureStore(
        root=str(features.root), online=str(features.online), as_of="2026-01-01T02:00+01:00"
    )
    assert Learned(Few(), fixed, tmp_path).as_of.isoformat() == "2026-01-01T01:00:00+00:00"


def test_jobs_of_a_sweep_learn_at_one_time(features):
    of_one_time(features, several=False)
    with pytest.raises(ConfigError, match=r"features\.as_of"):
        of_one_time(features, several=True)


def test_the_feature_service_of_a_model_is_kept(features, tmp_path, store, record):
    learned = Learned(Few(), features, tmp_path)
    with Tracking(uri=store).start(record) as run:
        learned.record(run, "digits")
    tags = run.client.get_run(run.id).data.tags
    assert tags[AS_OF_TAG] == learned.as_of.isoformat()
    assert (tags["digits.features_added"], tags["digits.features_dropped"]) == ("0", "0")
    service = features.feast.get_feature_service(tags[SERVICE_TAG])
    views = {each.name for each in service.feature_view_projections}
    assert views == {"labels", "image"}
    assert service.tags["digits.data_digest"] == few().digest


def test_samples_are_named_by_data_and_place():
    assert samples_of(few(), "test")[-1] == f"uci/{few().digest[:12]}/test/7"
