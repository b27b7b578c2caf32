"""`task=select`: choose what is worth a label, and see who has labelled it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from digits.active.acquisition import Acquisition
from digits.contract.label import NAME
from digits.contract.labelling import LabelStore
from digits.contract.moment import moment
from digits.data.source import Source
from digits.errors import ConfigError, DataError, Finding
from digits.registry.versions import RegisteredName
from digits.tasks.screens import labelling
from digits.tracking.record import Record
from digits.tracking.store import Tracking

log = logging.getLogger(__name__)

Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]


def select(
    record: Record,
    *,
    action: Literal["select", "status", "withdraw"],
    version: str | int,
    acquisition: Acquisition,
    pool: Literal["traffic", "data"],
    count: Annotated[int, Field(ge=1)],
    controls: Annotated[float, Field(ge=0, le=1)],
    suggestions: bool,
    since: str | float | None,
    until: str | float | None,
    limit: Annotated[int, Field(ge=1)],
    draws: Annotated[int, Field(ge=2)],
    labeller: Name | None,
    by: Name,
    source: Source,
    tracking: Tracking,
    cache: str,
    traffic_url: str,
    registered_name: RegisteredName = "digits",
    ray_address: str | None = None,
) -> float | None:
    """Queue the samples that promise most; or show the queue; or take a labeller's labels back.

    Args:
        record: the job's folder and configuration.
        action: select, status or withdraw; the last two load neither model nor data.
        version: the model that looks at the pool: alias, number, run id, run or bundle folder.
        acquisition: how it chooses.
        pool: what was served, or the training split of the data.
        count: samples to choose.
        controls: samples of the training split whose labels are known, as a share of ``count``;
            they are queued beside the others to check whoever labels.
        suggestions: whether samples that somebody has suggested a label for come first.
        since, until: the window of what was served, see :func:`~digits.contract.moment.moment`.
        limit: the newest samples of the pool that are looked at.
        draws: networks that dropout makes, for an acquisition that needs some.
        labeller: whose labels are withdrawn.
        by: who withdraws them.
        source: the data.
        tracking: where the model is registered and the selection is recorded.
        cache: folder that bundles are fetched to.
        traffic_url: database of served predictions and of labels.
        registered_name: the registered model.
        ray_address: where Ray scores the pool: ``local`` or a cluster's; None: in this process.

    Returns:
        How many samples were queued, controls left out; None for the other actions.

    Raises:
        ConfigError: no labeller is named whose labels are withdrawn, or a time is none.
        DataError: the pool holds nothing without a label, or the data cannot be read.
        RegistryError: there is no such model, it is damaged, or cannot give what is needed.
        TrafficError: the database does not answer, or is of another schema.
    """
    if action == "withdraw":
        _withdraw(record, traffic_url, labeller, by)
        return None
    if action == "status":
        _status(record, traffic_url)
        return None
    from digits.tasks.selection import Wanted, run  # what choosing needs, the others do not

    now = time.time()
    wanted = Wanted(
        version=str(version),
        name=registered_name,
        cache=Path(cache).expanduser(),
        acquisition=acquisition,
        pool=pool,
        count=count,
        controls=controls,
        suggestions=suggestions,
        since=moment(since, key="since", now=now),
        until=moment(until, key="until", now=now),
        limit=limit,
        draws=draws,
        traffic_url=traffic_url,
        ray_address=ray_address,
    )
    return run(record, wanted, source, tracking)


@contextmanager
def opened(url: str) -> Iterator[LabelStore]:
    """Open the label store at an address, and close it."""
    store = LabelStore(url)
    try:
        yield store
    finally:
        store.close()


def _has_queue(store: LabelStore) -> LabelStore:
    if not store.exists():
        raise DataError(
            f"traffic.url: {store.name} has no labelling queue yet: task=select makes one"
        )
    return store


def _withdraw(record: Record, url: str, labeller: str | None, by: str) -> None:
    if labeller is None:
        message = "name the one whose labels are to be withdrawn; action=status lists them"
        raise ConfigError([Finding("labeller", message)])
    with opened(url) as store:
        known = [each.name for each in _has_queue(store).labellers()]
        if labeller not in known:
            message = f"{labeller} has labelled nothing; labellers: {', '.join(known) or 'none'}"
            raise ConfigError([Finding("labeller", message)])
        gone = store.withdraw(labeller, by)
    log.info("%d labels of %s are withdrawn; their samples go to others.", gone, labeller)
    _status(record, url)


def _status(record: Record, url: str) -> None:
    """Show how far the queue is labelled, and by whom."""
    with opened(url) as store:
        progress, labellers = _has_queue(store).progress(), store.labellers()
    labelling.show(record, progress, labellers)
