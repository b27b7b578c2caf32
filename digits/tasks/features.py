"""`task=features`: data, served traffic and labels go into the feature store, and online."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock, Timeout
from pydantic import Field

from digits.contract.files import write_atomically
from digits.contract.labelling import LabelStore
from digits.contract.traffic import TrafficStore
from digits.data.source import Source
from digits.errors import ConfigError, FeatureError, Finding
from digits.features.embedding import embedding
from digits.features.endpoint import answering
from digits.features.ingest import Embed, ingest
from digits.features.online import materialize
from digits.features.push import Push
from digits.features.store import FeatureStore
from digits.features.views import VIEWS
from digits.registry.find import find_model
from digits.registry.versions import RegisteredName
from digits.tasks.progress import progress
from digits.tasks.screens import features as summary
from digits.tracking.record import Record
from digits.tracking.store import Tracking

log = logging.getLogger(__name__)

FEATURES_FILE = "features.json"
PUSHING = ".push"  # the lock of the one who follows


def features(
    record: Record,
    *,
    action: Literal["ingest", "push", "materialize", "status"],
    source: Source,
    store: FeatureStore | None,
    tracking: Tracking,
    cache: str,
    traffic_url: str,
    registered_name: RegisteredName = "digits",
    version: str | int | None = None,
    follow: bool = False,
    poll_seconds: Annotated[float, Field(gt=0, le=3600)] = 1.0,
    host: str = "127.0.0.1",
    port: Annotated[int, Field(ge=0, le=65_535)] = 8010,
) -> None:
    """Bring data in, bring in what was served and labelled, bring all of it online, or tell.

    Args:
        record: the job's folder and configuration.
        action: which of these.
        source: the data.
        store: the feature store.
        tracking: where the models are registered.
        cache: folder that bundles are fetched to.
        traffic_url: where served predictions and their labels are.
        registered_name: the registered model.
        version: whose embedding is kept too; None: none.
        follow: whether the push goes on until it is stopped, and answers what is known of samples.
        poll_seconds: between two looks at what is new.
        host, port: where it answers.

    Raises:
        ConfigError: there is no feature store, or the address cannot be had.
        DataError: the data cannot be read.
        FeatureError: the feature store does not answer, or cannot be written.
        TrafficError: the traffic store does not answer.
        RegistryError: no such model.
    """
    if store is None:
        raise ConfigError([Finding("features", "is none: choose features=local")])
    begin = time.monotonic()
    rows: list[tuple[str, str]] = []
    model, embed = "", None
    if version is not None and action in ("ingest", "push"):
        found = find_model(
            tracking.client(), str(version), name=registered_name, cache=Path(cache).expanduser()
        )
        model, embed = found.tags.get("digits.model_version", str(found)), embedding(found.folder)
        rows.append(("embedding", model))
    if action == "ingest":
        rows += summary.ingested(ingest(store, source.load(), embed=embed, model=model))
    elif action == "materialize":
        with progress(len(VIEWS)) as tell:
            rows += summary.materialized(materialize(store, list(VIEWS.values()), tell))
    elif action == "push":
        with _pushing(store, traffic_url, embed, model) as push:
            if follow:
                _follow(store, push, poll_seconds, host, port)
                return
            rows += summary.pushed(*_all(push))
    told = json.dumps({"as_of": summary.as_of(store)}) + "\n"
    write_atomically(record.folder / FEATURES_FILE, told)
    rows.append(("seconds", f"{time.monotonic() - begin:.1f}"))
    summary.show(record, store, rows, action)


@contextmanager
def _pushing(store: FeatureStore, url: str, embed: Embed | None, model: str) -> Iterator[Push]:
    """Open what the push reads; nobody else pushes meanwhile."""
    with ExitStack() as stack:
        store.root.mkdir(parents=True, exist_ok=True)
        try:
            stack.enter_context(FileLock(store.root / PUSHING, timeout=0))
        except Timeout:
            raise FeatureError(
                f"features.root: another task=features action=push is at work on {store.root}"
            ) from None
        traffic, labels = TrafficStore(url), LabelStore(url)
        stack.callback(traffic.close)
        stack.callback(labels.close)
        yield Push(store, traffic, labels, embed=embed, model=model)


def _all(push: Push) -> tuple[int, int]:
    """Push until nothing is left; return predictions and labels."""
    predictions = labels = 0
    while not (done := push.step()).is_all:
        predictions += done.predictions
        labels += done.labels
        log.info("%d predictions and %d labels are in.", predictions, labels)
    return predictions, labels


def _follow(store: FeatureStore, push: Push, seconds: float, host: str, port: int) -> None:
    """Push what comes, until a signal, and answer what is known of a sample."""
    own = FeatureStore(root=str(store.root), online=str(store.online))  # a connection of its own
    with answering(own, host, port) as address:
        log.info("Following; %s/samples/<id> answers. Ctrl-C ends it.", address)
        while True:
            try:
                _all(push)
            except FeatureError as error:  # it comes back: what is not in comes later
                log.error("%s; trying again", error)
            time.sleep(seconds)
