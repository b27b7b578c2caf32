"""`task=pipeline`: from data to a deployed model as a Kubeflow pipeline, here or on a cluster."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Literal

from hydra import compose
from hydra.errors import HydraException

from digits.config.resolvers import PROJECT
from digits.data.source import Source
from digits.errors import ConfigError, Finding, MissingExtraError, RejectedError
from digits.registry.versions import RegisteredName
from digits.tasks import commands
from digits.tasks.progress import progress
from digits.tasks.screens import screen
from digits.tasks.typed import data_of, typed
from digits.tracking.record import Record
from pipelines.order import NONE, REJECTED, Event, Order, Outcome, Runner, When

Step = Literal[
    "drift", "data", "features", "search", "train", "evaluate", "gate", "promote", "deploy"
]
SQLITE = "sqlite:"
#: step -> its task, and whether that reads data
TASKS: Mapping[Step, tuple[str, bool]] = {
    "drift": ("drift", True),
    "data": ("data", True),
    "features": ("features", True),
    "search": ("train", True),
    "train": ("train", True),
    "evaluate": ("evaluate", True),
    "gate": ("promote", True),
    "promote": ("promote", True),
    "deploy": ("deploy", False),
}


def pipeline(
    record: Record,
    *,
    runner: Runner,
    source: Source,
    tracking_uri: str,
    overrides: Mapping[Step, Sequence[str]],
    when: When = "always",
    feature_store: str = NONE,
    search: str = NONE,
    target: str = NONE,
    registered_name: RegisteredName = "digits",
) -> None:
    """Run the pipeline, write it as a file, or hand it to a cluster; then say what came of it.

    Args:
        record: the job's folder and configuration.
        runner: where the steps run.
        source: the data.
        tracking_uri: the store that the steps record to.
        overrides: step -> overrides that its command gets besides.
        when: always; or drift: only where ``task=drift`` finds some in the traffic.
        feature_store: option of ``features`` that is filled and learned from, or none.
        search: option of ``tuner`` that finds the configuration to train, or none.
        target: option of ``deployment`` that a promoted model goes to, or none.
        registered_name: the registered model.

    Raises:
        ConfigError: it is one of several jobs, or a step's overrides do not compose.
        MissingExtraError: Kubeflow's libraries are not installed.
        PipelineError: a step failed, or the engine cannot be had.
        RejectedError: the gate has turned the model away; nothing was deployed.
    """
    if record.job is not None:
        raise ConfigError([Finding("task", "pipeline has one store and one registry: no -m")])
    if find_spec("kfp") is None:
        raise MissingExtraError("pipelines", "kfp")
    order = Order(
        name=registered_name,
        root=runner.root,
        shared=_shared(record, tracking_uri),
        data=data_of(record, source.name),
        overrides={step: list(own) for step, own in overrides.items()},
        when=when,
        feature_store=feature_store,
        search=search,
        target=target,
    )
    _assert_suits(order, runner, tracking_uri)
    _assert_composes(order)
    with record.claimed():
        outcome = _run(runner, order, record)
    screen.show(_rows(outcome, registered_name), _next(outcome, record))
    if outcome.decision == REJECTED:
        model = registered_name if outcome.version is None else f"version {outcome.version}"
        raise RejectedError(
            f"Rejected: {model} is not promoted, and nothing is deployed; the evidence says why"
        )


def _shared(record: Record, tracking_uri: str) -> list[str]:
    """Return the overrides that lead every step to the store of this job; its root is apart."""
    places = [
        each
        for each in record.overrides
        if _part(each) in ("paths", "tracking") and not each.startswith(("paths.root=", "paths="))
    ]
    if tracking_uri.startswith(SQLITE):
        return [f"seed={record.seed}", *places]
    chosen = [each for each in places if not each.startswith(("tracking=", "tracking.uri="))]
    # Said as it is here: what this machine's environment says is not that of a container.
    server = ["tracking=server", f"tracking.uri={typed(tracking_uri)}"]
    return [f"seed={record.seed}", *server, *chosen]


def _part(override: str) -> str:
    return override.split("=", 1)[0].lstrip("+~").split(".")[0]


def _assert_suits(order: Order, runner: Runner, tracking_uri: str) -> None:
    """Hold that nothing would be lost with the container of the step that made it."""
    findings = []
    if order.target == "local" and not runner.here:
        message = "local would end with its container; another target of task=deploy, or none"
        findings.append(Finding("target", message))
    if tracking_uri.startswith(SQLITE) and not runner.keeps:
        message = "a file would end with its container: tracking=server, or pipeline.volumes"
        findings.append(Finding("tracking", message))
    if findings:
        raise ConfigError(findings)


def _assert_composes(order: Order) -> None:
    """Compose the command of every step, so that what no step knows is said before the first.

    Raises:
        ConfigError: naming the overrides that do not.
    """
    findings = []
    chosen = {
        "features": [f"features={order.feature_store}"],
        "search": [f"tuner={order.search}"],
        "deploy": [f"deployment={order.target}"],
    }
    for step in order.steps():
        task, reads = TASKS[step]  # type: ignore[index]
        data, own = order.data if reads else (), order.overrides.get(step, ())
        line = [f"task={task}", *order.shared, *data, *chosen.get(step, ()), *own]
        try:
            compose("config", line)
        except HydraException as error:
            told = " ".join(str(error).split("\n")[0].split())
            findings.append(Finding(f"overrides.{step}", told))
    if findings:
        raise ConfigError(findings)


def _run(runner: Runner, order: Order, record: Record) -> Outcome:
    order = replace(order, code=runner.code(PROJECT))
    steps = order.steps()
    screen_output = sys.stdout  # the runner has standard output for itself meanwhile
    with progress(len(steps), name="pipeline") as step:

        def tell(event: Event) -> None:
            if event.state == "began":
                return
            took = f"{event.seconds:.1f} s" if event.seconds is not None else ""
            screen_output.write(f"{event.step:<10}{event.state:<8}{took}\n")
            screen_output.flush()
            step(event.step)

        return runner.run(order, record.folder, tell)


def _rows(outcome: Outcome, name: str) -> list[tuple[str, str]]:
    rows = []
    if outcome.version is not None:
        rows.append(("model", f"{name} version {outcome.version}"))
    if outcome.decision is not None:
        rows.append(("gate", outcome.decision))
    return [*rows, *outcome.rows]


def _next(outcome: Outcome, record: Record) -> list[tuple[str, str]]:
    same = commands.same(record, commands.FIRST_DATA)
    if outcome.version is None:
        return [(commands.run("task=promote", *same), "the gate's word on the newest model")]
    of = f"of={outcome.version}"
    return [
        (commands.run("task=lineage", of, *same), "where the model comes from, what came of it"),
        (commands.run("task=deploy", "action=status", *same), "what serves"),
    ]
