"""What Prometheus reads, of one worker or, by ``PROMETHEUS_MULTIPROC_DIR``, of several."""

from __future__ import annotations

import os
from collections.abc import Mapping
from math import nan
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from digits.contract.drift_history import Watched

STATUSES = ("steady", "shifted", "harmful", "unknown")
#: seconds; the service answers most requests within the first ones
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)

#: name -> help, of what other parts count as plain numbers
TALLIES: Mapping[str, str] = {
    "digits_traffic_written": "Predictions written to the traffic store",
    "digits_traffic_dropped": "Predictions answered and not kept, because the queue was full",
    "digits_traffic_failures": "Writes that the traffic store refused",
    "digits_model_swaps": "Times that another model took over, by each worker",
    "digits_model_refused": "Models not taken: damaged or not as registered; by each worker",
    "digits_challenger_answers": "Answers of the challenger that were compared",
    "digits_challenger_agreed": "Of these, those that name the same digit",
    "digits_challenger_skipped": "Requests that were not compared, the other model being behind",
    "digits_challenger_seconds": "Seconds that the challenger took for them",
    "digits_champion_seconds": "Seconds that the champion took for them",
}

#: name -> help, of the last finding of `task=drift`, in the order in which they are told
DRIFT: Mapping[str, str] = {
    "digits_drift_time": "When the last window was judged, in seconds since 1970",
    "digits_drift_images": "Images of the last window",
    "digits_drift_chance": "Share of clean windows that look as unusual as the last one",
    "digits_drift_foreign_share": "Share of the last window that is unlike the reference",
    "digits_drift_accuracy_before": "Accuracy on the reference",
    "digits_drift_accuracy": "Estimated accuracy in the last window",
    "digits_drift_accuracy_low": "Lower end of its 95 % interval",
    "digits_drift_accuracy_high": "Upper end of its 95 % interval",
    "digits_drift_labels": "Confirmed labels that the estimate goes by",
}


class Metrics:
    """Counters of one worker."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "digits_request_seconds",
            "Time from a request's headers to its answer",
            ["route", "status"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._predictions = Counter(
            "digits_predictions",
            "Images that were answered",
            ["version", "route"],
            registry=self._registry,
        )
        self._not_digits = Counter(
            "digits_abstentions",
            "Images that were no digit to the model",
            ["version"],
            registry=self._registry,
        )
        self._depth = Gauge(
            "digits_traffic_queue",
            "Predictions that wait to be written",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self._tallies = {
            name: Counter(name, text, registry=self._registry) for name, text in TALLIES.items()
        }
        self._drift = {
            name: Gauge(
                name, text, ["version"], multiprocess_mode="mostrecent", registry=self._registry
            )
            for name, text in DRIFT.items()
        }
        self._drift_status = Gauge(
            "digits_drift_status",
            "1 for what the last window of traffic is: steady, shifted, harmful or unknown",
            ["version", "status"],
            multiprocess_mode="mostrecent",
            registry=self._registry,
        )
        self._seen: dict[str, float] = {}
        self._timers: dict[tuple[str, int], Histogram] = {}
        self._counts: dict[tuple[str, str], Counter] = {}

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count and time a request."""
        timer = self._timers.get((route, status))
        if timer is None:
            timer = self._seconds.labels(route, str(status))
            self._timers[route, status] = timer
        timer.observe(seconds)

    def predictions(self, version: str, route: str, count: int, not_digits: int) -> None:
        """Count answered images, and those among them that were no digit to the model."""
        counter = self._counts.get((version, route))
        if counter is None:
            counter = self._predictions.labels(version, route)
            self._counts[version, route] = counter
        counter.inc(count)
        if not_digits:
            self._not_digits.labels(version).inc(not_digits)

    def take_over(self, tallies: Mapping[str, float], depth: int) -> None:
        """Bring the counters up to what other parts of the worker have counted in all."""
        for name, total in tallies.items():
            self._tallies[name].inc(total - self._seen.get(name, 0))
            self._seen[name] = total
        self._depth.set(depth)

    def drift(self, found: Watched) -> None:
        """Tell the last finding of `task=drift`; what it cannot tell is NaN."""
        values = [found.time, found.images, found.chance, found.foreign_share]
        values += [found.before, found.accuracy, found.low, found.high, found.labels]
        for gauge, value in zip(self._drift.values(), values, strict=True):
            gauge.labels(found.version).set(nan if value is None else value)
        for status in STATUSES:
            self._drift_status.labels(found.version, status).set(status == found.status)

    def text(self) -> bytes:
        """Return all of it in Prometheus's text format, of every worker."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)
        return generate_latest(together)
