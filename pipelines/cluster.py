"""The pipeline on a cluster: handed to Kubeflow Pipelines, and followed to its end."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from digits.errors import ConfigError, Finding, PipelineError
from pipelines import connection
from pipelines.compiled import Compile
from pipelines.order import PASSED, REJECTED, STEPS, Event, Order, Outcome, State, Tell
from pipelines.pods import Pods

log = logging.getLogger(__name__)

OFF = "off"  # a schedule that is taken away
ENDS = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")  # Kubeflow's own wait misses CANCELED
STATES: dict[str, State] = {
    "RUNNING": "began",
    "SUCCEEDED": "done",
    "SKIPPED": "cached",
    "FAILED": "failed",
    "CANCELED": "failed",
}
KNOWN = {*STEPS, "reject", "report"}
UNAUTHORIZED = 401

Schedule = Annotated[str, Field(pattern=r"^(off|(\S+ ){5}\S+)$")]


class Cluster(Compile):
    """Submit, follow with progress, and end as the run ends; or have it run again and again.

    The token is in the environment, ``KFP_TOKEN``, or in the file ``KFP_TOKEN_FILE``.

    Args:
        file, image, root, pods: see :class:`~pipelines.compiled.Compile`.
        host: address of the API; None is a fault.
        namespace: of the user, where Kubeflow has several users.
        ca: file with the certificate that signs the API's.
        experiment: that the runs are shown below.
        service_account: that the pods run as; None: Kubeflow's own.
        pipeline_root: where artifacts are stored; None: Kubeflow's own place.
        schedule: six fields of cron (seconds first): make it a recurring run; ``off``: take that
            away; None: run it once, now.
        follow: whether to wait for the end of the run.
        wait_seconds: longest wait.
        poll_seconds: between two looks.
        patience_seconds: how long the API may be out of reach meanwhile.
    """

    def __init__(
        self,
        *,
        file: Annotated[str, Field(pattern=r"\.ya?ml$")],
        image: Annotated[str, Field(min_length=1)],
        root: str,
        pods: Pods,
        host: str | None,
        namespace: str | None = None,
        ca: str | None = None,
        experiment: Annotated[str, Field(min_length=1)] = "digits",
        service_account: str | None = None,
        pipeline_root: str | None = None,
        schedule: Schedule | None = None,
        follow: bool = True,
        wait_seconds: Annotated[float, Field(gt=0)] = 86_400.0,
        poll_seconds: Annotated[float, Field(gt=0, le=600)] = 5.0,
        patience_seconds: Annotated[float, Field(ge=0)] = 120.0,
    ) -> None:
        super().__init__(file=file, image=image, root=root, pods=pods)
        self.host, self.namespace, self.ca = host, namespace, ca
        self.experiment, self.service_account = experiment, service_account
        self.pipeline_root, self.schedule, self.follow = pipeline_root, schedule, follow
        self.wait_seconds, self.poll_seconds = wait_seconds, poll_seconds
        self.patience_seconds = patience_seconds

    def run(self, order: Order, folder: Path, tell: Tell) -> Outcome:
        """See :class:`~pipelines.order.Runner`."""
        if not self.host:
            raise ConfigError([Finding("pipeline.host", "is missing: set KFP_HOST, or type it")])
        client = connection.connect(self.host, self.namespace, self.ca)
        if self.schedule is not None:
            return self._recurring(client, order)
        file = self.write(order)
        with connection.explained(self.host), connection.quiet():
            submitted = client.create_run_from_pipeline_package(
                str(file),
                arguments=order.parameters(),
                run_name=f"{order.name} {datetime.now():%Y-%m-%d %H:%M:%S}",
                experiment_name=self.experiment,
                namespace=self.namespace,
                pipeline_root=self.pipeline_root,
                service_account=self.service_account,
            )
        page = f"{client._get_url_prefix()}/#/runs/details/{submitted.run_id}"
        rows = [("run", submitted.run_id), ("page", page)]
        if not self.follow:
            return Outcome([*rows, ("state", "submitted; it is not followed")])
        try:
            return _Followed(self, client, submitted.run_id, rows, tell).to_its_end()
        except (KeyboardInterrupt, SystemExit):
            log.warning("The run goes on: %s", page)
            raise

    def _recurring(self, client: Any, order: Order) -> Outcome:
        """Put one recurring run in the place of the one of its name."""
        assert self.host is not None
        name = f"{order.name}-{order.when}"
        with connection.explained(self.host), connection.quiet():
            experiment = client.create_experiment(self.experiment, namespace=self.namespace)
            gone = 0
            for old in self._recurring_runs(client, experiment.experiment_id):
                if old.display_name == name:
                    client.delete_recurring_run(old.recurring_run_id)
                    gone += 1
            if self.schedule == OFF:
                return Outcome([("recurring run", f"{name}: {gone} taken away")])
            made = client.create_recurring_run(
                experiment_id=experiment.experiment_id,
                job_name=name,
                cron_expression=self.schedule,
                max_concurrency=1,
                no_catchup=True,  # what was missed is not made up for: the data is as it is now
                params=order.parameters(),
                pipeline_package_path=str(self.write(order)),
                pipeline_root=self.pipeline_root,
                service_account=self.service_account,
            )
        told = f"{name} ({made.recurring_run_id}), {self.schedule}"
        return Outcome([("recurring run", told + (", in place of an earlier one" * bool(gone)))])

    def _recurring_runs(self, client: Any, experiment: str) -> list[Any]:
        found: list[Any] = []
        page = ""
        while True:
            listed = client.list_recurring_runs(
                page_token=page, page_size=100, experiment_id=experiment
            )
            found += listed.recurring_runs or []
            page = listed.next_page_token or ""
            if not page:
                return found


class _Followed:
    """One run, looked at again and again."""

    def __init__(
        self, cluster: Cluster, client: Any, run_id: str, rows: list[tuple[str, str]], tell: Tell
    ) -> None:
        self.cluster, self.client, self.run_id = cluster, client, run_id
        self.rows, self.tell = rows, tell
        self.states: dict[str, State] = {}
        self.events: list[Event] = []

    def to_its_end(self) -> Outcome:
        """Return what came of it.

        Raises:
            PipelineError: it failed, takes too long, or cannot be looked at any more.
        """
        end = time.monotonic() + self.cluster.wait_seconds
        while True:
            run = self._look()
            self._notice(run)
            if run.state in ENDS:
                return self._outcome(run)
            if time.monotonic() > end:
                raise PipelineError(
                    f"pipeline.wait_seconds: the run is {run.state} after "
                    f"{self.cluster.wait_seconds:g} s, and goes on: {self.rows[-1][1]}"
                )
            time.sleep(self.cluster.poll_seconds)

    def _look(self) -> Any:
        """Ask for the run; an API that is away for a moment, or an old token, does no harm."""
        import kfp_server_api
        import urllib3

        host = str(self.cluster.host)
        end = time.monotonic() + self.cluster.patience_seconds
        renewed = False
        while True:
            with connection.explained(host):
                try:
                    return self.client.get_run(self.run_id)
                except kfp_server_api.ApiException as error:
                    if error.status == UNAUTHORIZED and not renewed:
                        renewed = self._renew()
                        continue
                    if error.status < 500 or time.monotonic() > end:
                        raise
                except urllib3.exceptions.HTTPError:
                    if time.monotonic() > end:
                        raise
            time.sleep(self.cluster.poll_seconds)

    def _renew(self) -> bool:
        self.client._existing_config.api_key["authorization"] = connection.token() or ""
        return True

    def _notice(self, run: Any) -> None:
        details = run.run_details.task_details if run.run_details else None
        for task in details or []:
            state = STATES.get(task.state or "")
            if task.display_name not in KNOWN or state in (
                None,
                self.states.get(task.display_name),
            ):
                continue
            self.states[task.display_name] = state
            event = Event(task.display_name, state, _seconds(task))
            if state != "began":
                self.events.append(event)
            self.tell(event)

    def _outcome(self, run: Any) -> Outcome:
        if run.state != "SUCCEEDED":
            failed = [each.step for each in self.events if each.state == "failed"]
            where = f" in {', '.join(failed)}" if failed else ""
            why = f": {run.error.message}" if run.error and run.error.message else ""
            raise PipelineError(f"The run ended {run.state}{where}{why}: {self.rows[-1][1]}")
        ways = {"reject": REJECTED, "promote": PASSED}
        taken = [ways[each] for each in ways if self.states.get(each) == "done"]
        return Outcome([*self.rows, ("state", run.state)], self.events, taken[0] if taken else None)


def _seconds(task: Any) -> float | None:
    if task.start_time is None or task.end_time is None or task.end_time < task.start_time:
        return None
    return float((task.end_time - task.start_time).total_seconds())
