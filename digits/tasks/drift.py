"""`task=drift`: has what the model sees changed, and is it any worse for it?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from digits.contract.moment import moment
from digits.data.source import Source
from digits.errors import CannotTellError, DataError, DriftError, RegistryError
from digits.evaluation import classification_report as evidently_page
from digits.monitoring.limits import Limits
from digits.monitoring.monitor import Finding
from digits.monitoring.signals import Observer
from digits.monitoring.window import Window, of_traffic
from digits.monitoring.window_file import of_file
from digits.registry.find import Model, find_model
from digits.registry.versions import RegisteredName
from digits.tasks.drift_reference import calibrated, stored
from digits.tasks.drift_window import Watch
from digits.tasks.screens.screen import show
from digits.tracking.record import Record
from digits.tracking.store import Tracking


def drift(
    record: Record,
    *,
    action: Literal["check", "calibrate"],
    version: str | int,
    source: Source,
    limits: Limits,
    tracking: Tracking,
    cache: str,
    traffic_url: str | None,
    last: Annotated[int, Field(ge=1)] = 1000,
    since: str | float | None = None,
    until: str | float | None = None,
    file: str | None = None,
    registered_name: RegisteredName = "digits",
) -> float | None:
    """Judge a window of served traffic, or the images of a file; return its estimated accuracy.

    Args:
        record: the job's folder and configuration.
        action: check; or calibrate, which makes the reference again and judges nothing.
        version: the model: alias, number, run id, run folder or bundle folder.
        source: the data; its test split is the reference, and read where there is none yet.
        limits: what counts as drift.
        tracking: where the model is registered and the finding is recorded.
        cache: folder that bundles are fetched to.
        traffic_url: of the traffic store, where findings are kept too; None: there is none.
        last: most predictions of the window, the last ones.
        since, until: times of the window, see :func:`~digits.contract.moment.moment`.
        file: is judged instead of traffic.
        registered_name: the registered model.

    Returns:
        The accuracy in 0..1; None where nothing can be told, or nothing was judged.

    Raises:
        DriftError: there is drift, and ``limits.fail`` asks for this.
        CannotTellError: the same where nothing can be told.
        MissingExtraError: Evidently is wanted and not installed.
        RegistryError: the model is damaged.
        TrafficError: the traffic store cannot be read.
        ConfigError: a time is none.
    """
    if limits.evidently and action == "check":
        evidently_page.require(without="drift=plain")
    now = time.time()
    bounds = moment(since, key="since", now=now), moment(until, key="until", now=now)
    client, places = tracking.client(), Path(cache).expanduser()
    try:
        model = find_model(client, str(version), name=registered_name, cache=places)
    except RegistryError as error:
        raise _no_reference(error, limits) from error
    observe = Observer(model.folder, model.manifest)
    with record.claimed(), tracking.start(record) as run:
        run.log_record(record)
        run.set_tags(model.tags)
        try:
            make = calibrated if action == "calibrate" else stored
            known = make(client, model, observe, source, cache=places, seed=record.seed)
        except DataError as error:
            raise _no_reference(error, limits) from error
        if action == "calibrate":
            return None
        window = _window(file, traffic_url, model, last, bounds)
        watch = Watch(record, run, model, limits, traffic_url if file is None else None)
        summary = watch.judge(window, observe, *known)
    if record.job is None:
        show(summary.rows(), summary.next_commands())
    _end(summary.finding, limits)
    return None if summary.finding.now is None else summary.finding.now.accuracy


def _no_reference(error: DataError | RegistryError, limits: Limits) -> Exception:
    return CannotTellError(f"Cannot tell: there is no reference: {error}") if limits.fail else error


def _end(finding: Finding, limits: Limits) -> None:
    if not limits.fail:
        return
    if finding.status == "unknown":
        raise CannotTellError(f"Cannot tell: {finding.reason}")
    if limits.is_drift(finding.status):
        raise DriftError(f"Drift: {finding.reason}")


def _window(
    file: str | None,
    url: str | None,
    model: Model,
    last: int,
    bounds: tuple[float | None, float | None],
) -> Window:
    if file is not None:
        return of_file(Path(file).expanduser(), model.manifest.preprocess())
    if url is None:
        raise DataError("traffic.url: there is none; name a traffic store, or a file=")
    since, until = bounds
    number = None if model.version is None else f"{model.version.name}/{model.version.number}"
    return of_traffic(url, last=last, since=since, until=until, version=number)
