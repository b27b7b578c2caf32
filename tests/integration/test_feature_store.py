"""The feature store: point in time, complete, in order; what Feast does otherwise is held here."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from digits.errors import FeatureError
from digits.features.ingest import ingest, name_of, samples_of
from digits.features.join import known
from digits.features.shape import SHAPE_NAMES, shape_features
from digits.features.store import FeatureStore
from digits.features.training_set import training_set
from digits.features.views import IMAGE, LABELS, NOT_A_DIGIT, SHAPE, WITHDRAWN
from tests.integration.featured import START, few, needs_feast, split

pytestmark = needs_feast

DAY = timedelta(days=1)


@pytest.fixture(name="data")
def _data():
    return few()


@pytest.fixture(name="store")
def _store(tmp_path):
    store = FeatureStore(root=str(tmp_path / "store"), online=f"sqlite:///{tmp_path}/online.db")
    yield store
    store.close()


def label(store, sample, digit, day, *, labeller="rater_a", split="served", written=None):
    """Add a row of a label, as the push does."""
    from digits.features.parts import table_of

    columns = {
        "label": [digit],
        "origin": ["person"],
        "labeller": [labeller],
        "split": [split],
    }
    table = table_of(LABELS, [sample], columns, START + day * DAY)
    name = f"pushed-{day}-{sample.replace('/', '-')}-{digit}"
    store.parts.write(LABELS, name, table)


def image(store, sample, pixels, day):
    from digits.features.ingest import of_pixels
    from digits.features.parts import table_of

    table = table_of(IMAGE, [sample], of_pixels(pixels[None]), START + day * DAY)
    store.parts.write(IMAGE, f"pushed-{day}-{sample}", table)


def test_a_training_set_of_data_alone_is_that_data(store, data):
    assert ingest(store, data, moment=START).is_new
    learned = training_set(store, data)
    assert learned.digits.digest == data.digest
    assert (learned.added, learned.corrected, learned.dropped) == (0, 0, 0)


def test_bringing_the_same_data_again_changes_nothing(store, data):
    ingest(store, data, moment=START)
    before = {file: file.read_bytes() for file in store.root.rglob("*.parquet")}
    again = ingest(store, data, moment=START + DAY)
    assert not again.is_new and again.samples == 54
    assert {file: file.read_bytes() for file in store.root.rglob("*.parquet")} == before


def test_a_correction_counts_from_its_time_on(store, data):
    ingest(store, data, moment=START)
    sample, other = samples_of(data, "train")[7], (int(data.train.labels[7]) + 1) % 10
    label(store, sample, other, 10, split="train")
    before = training_set(store, data, START + 10 * DAY - timedelta(microseconds=1))
    assert before.digits.digest == data.digest
    after = training_set(store, data, START + 10 * DAY)
    assert after.corrected == 1 and after.digits.train.labels[7] == other
    changed = after.digits.train.labels != data.train.labels
    assert changed.sum() == 1
    assert after.digits.test is data.test and after.digits.validation is data.validation


def test_a_late_correction_is_not_in_an_early_set_although_it_was_written_last(store, data):
    ingest(store, data, moment=START)
    first, second = (split(1, seed).images[0] for seed in (10, 11))
    image(store, "a", first, 1)
    image(store, "b", second, 1)
    label(store, "b", 3, 20)
    label(store, "a", 4, 20)
    label(store, "a", 5, 2)  # written last, and known first
    early = training_set(store, data, START + 5 * DAY).digits.train
    assert early.labels[40:].tolist() == [5]
    late = training_set(store, data, START + 30 * DAY)
    assert late.digits.train.labels[40:].tolist() == [4, 3]  # by when they were first labelled
    assert (late.digits.train.images[40:] == np.stack([first, second])).all()
    assert late.added == 2


def test_what_is_no_digit_or_withdrawn_is_not_learned_from(store, data):
    ingest(store, data, moment=START)
    image(store, "a", split(1, 10).images[0], 1)
    image(store, "b", split(1, 11).images[0], 1)
    label(store, "a", NOT_A_DIGIT, 2)
    label(store, "b", 4, 2)
    label(store, "b", WITHDRAWN, 3)
    label(store, samples_of(data, "train")[0], NOT_A_DIGIT, 2, split="train")
    learned = training_set(store, data)
    assert (learned.added, learned.dropped, len(learned.digits.train)) == (0, 1, 39)
    assert training_set(store, data, START + 2 * DAY).added == 1


def test_a_held_out_image_is_not_learned_from(store, data, caplog):
    ingest(store, data, moment=START)
    image(store, "a", data.test.images[3], 1)
    label(store, "a", 4, 2)
    assert training_set(store, data).added == 0
    assert "held-out" in caplog.text


def test_the_join_keeps_every_row_in_its_place(store, data):
    ingest(store, data, moment=START)
    image(store, "late", split(1, 10).images[0], 50)  # Feast loses such a row
    own = samples_of(data, "train")
    asked = [own[5], "nobody", own[1], "late", own[5], own[30]]
    found = known(store, SHAPE, asked, START + DAY)
    expected = shape_features(data.train.images[[5, 1, 5, 30]])
    assert list(found.index) == list(range(6)) and list(found.columns) == list(SHAPE_NAMES)
    assert found.isna().all(axis=1).tolist() == [False, True, False, True, False, False]
    assert found.dropna().to_numpy(np.float32).tobytes() == expected.tobytes()
    pixels = known(store, IMAGE, asked, START + DAY)["pixels"]
    assert pixels[0] == data.train.images[5].tobytes() and pixels[[1, 3]].isna().all()


def test_an_as_of_time_before_the_first_label(store, data):
    ingest(store, data, moment=START)
    with pytest.raises(FeatureError, match=r"features\.as_of: 2025-12-31.*before the first label"):
        training_set(store, data, START - DAY)


def test_data_that_was_not_brought_in(store, data):
    with pytest.raises(FeatureError, match=f"{name_of(data)} is not in the feature store"):
        training_set(store, data)


def test_a_killed_ingest_has_brought_nothing_and_comes_again(store, data, monkeypatch, caplog):
    whole = store.parts.write

    def killed(view, name, table):
        if view is LABELS:
            raise KeyboardInterrupt
        whole(view, name, table)

    monkeypatch.setattr(store.parts, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        ingest(store, data, moment=START)
    monkeypatch.undo()
    with pytest.raises(FeatureError, match="is not in the feature store"):
        training_set(store, data)
    half = store.parts.folder(LABELS) / ".uci.parquet.abcd"  # a part that is being written
    half.write_bytes(b"half")
    ingest(store, data, moment=START + DAY)
    assert "stopped half-way" in caplog.text
    assert training_set(store, data).digits.digest == data.digest
    FeatureStore(root=str(store.root), online=str(store.online)).parts  # noqa: B018 - opens them
    assert not half.exists()


def test_a_view_of_other_columns(store, data, tmp_path):
    import pyarrow.parquet as pq

    ingest(store, data, moment=START)
    file = store.root / "shape" / "empty.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["holes"]), file)
    again = FeatureStore(root=str(store.root), online=f"sqlite:///{tmp_path}/online.db")
    with pytest.raises(FeatureError, match=r"the view shape .* \(it differs in holes\)"):
        training_set(again, data)
