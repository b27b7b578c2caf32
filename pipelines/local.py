"""The pipeline on this machine, by Kubeflow's own local runners: processes, or containers."""

from __future__ import annotations

import json
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from digits.errors import DigitsError, PipelineError, RejectedError
from pipelines.digest import digest_of
from pipelines.engine_log import EngineLog, printed_to
from pipelines.order import Order, Outcome, Tell

LEASH = "DIGITS_SUPERVISED"  # run.py ends with its standard input
END_SECONDS = 30.0  # for a step to close what it has open
LOG_FILE = "steps.log"
STEPS_FOLDER = "steps"
PYTHON_IMAGE = "python"  # its name is all that is looked at


class Subprocess:
    """Every step is a process of this machine, in the environment of this one.

    Args:
        root: folder of everything that steps write.
        cache: folder of what has been done; None: everything is done anew.
    """

    here = True
    keeps = True

    def __init__(self, *, root: str, cache: str | None) -> None:
        self.root = str(Path(root).expanduser().absolute())
        self.cache = cache

    def code(self, project: Path) -> str:
        """See :class:`~pipelines.order.Runner`."""
        return digest_of(project)

    def run(self, order: Order, folder: Path, tell: Tell) -> Outcome:
        """See :class:`~pipelines.order.Runner`."""
        from kfp import local

        return self._run(order, folder, tell, local.SubprocessRunner(use_venv=False), PYTHON_IMAGE)

    def _run(self, order: Order, folder: Path, tell: Tell, runner: Any, image: str) -> Outcome:
        from kfp import local

        from pipelines.graph import pipeline

        root = folder / STEPS_FOLDER
        root.mkdir(parents=True, exist_ok=True)
        local.init(
            runner,
            pipeline_root=str(root),
            workspace_root=str(folder / "workspace"),
            enable_caching=self.cache is not None,
            cache_root=self.cache,
        )
        (folder / "workspace").mkdir(exist_ok=True)
        graph = pipeline(order, image)
        log = EngineLog(folder / LOG_FILE, tell)
        with printed_to(log), warnings.catch_warnings():
            try:
                _leashed(lambda: graph(**order.parameters()))
            except Exception as error:
                raise _failure(log, error, folder / LOG_FILE) from error
            finally:
                log.close()
        return _outcome(log, root, folder / LOG_FILE)


def _leashed(call: Callable[[], Any]) -> None:
    """Call in a thread, whose processes end when this one does, or is told to.

    Kubeflow's runner waits for a step to end whatever happens here. Its processes have our standard
    input: a pipe whose other end nobody has but us.
    """
    faults: list[BaseException] = []

    def work() -> None:
        try:
            call()
        except BaseException as error:
            faults.append(error)

    with _held_input() as let_go:
        thread = threading.Thread(target=work, name="pipeline")
        thread.start()
        try:
            while thread.is_alive():
                thread.join(0.2)  # a signal is heeded between two looks
        except BaseException:
            let_go()
            thread.join(END_SECONDS)
            raise
    if faults:
        raise faults[0]


@contextmanager
def _held_input() -> Iterator[Callable[[], None]]:
    """Make standard input a pipe that ends with this process, or when what is given is called."""
    reading, writing = os.pipe()
    before = _duplicate(0)
    os.dup2(reading, 0)
    os.close(reading)
    told = os.environ.get(LEASH)
    os.environ[LEASH] = "1"
    is_open = [True]

    def let_go() -> None:
        if is_open.pop() if is_open else False:
            os.close(writing)

    try:
        yield let_go
    finally:
        let_go()
        if before is None:
            os.close(0)
        else:
            os.dup2(before, 0)
            os.close(before)
        if told is None:
            os.environ.pop(LEASH, None)


def _duplicate(descriptor: int) -> int | None:
    try:
        return os.dup(descriptor)
    except OSError:  # it was closed
        return None


def _failure(log: EngineLog, error: Exception, file: Path) -> DigitsError:
    """Say which step failed and what it said; what the gate has turned away is no failure."""
    if log.failed is None:
        return PipelineError(f"pipeline: the local runner failed ({error}): see {file}")
    code = f"exit code {log.code}" if log.code is not None else "it ran no command"
    told = "\n".join(["", *log.last])
    kind = RejectedError if log.code == RejectedError.exit_code else PipelineError
    return kind(f"The step {log.failed} failed ({code}): see {file}{told}")


def _outcome(log: EngineLog, root: Path, file: Path) -> Outcome:
    decision, version, pages = None, None, []
    for output in root.glob("*/drift/executor_output.json"):
        told = json.loads(output.read_text(encoding="utf-8"))
        pages.append(("drift", told["parameterValues"]["Output"]))
    for output in root.glob("*/gate/executor_output.json"):
        told = json.loads(output.read_text(encoding="utf-8"))
        decision = told["parameterValues"]["Output"]
        about = told["artifacts"]["verdict"]["artifacts"][0]["metadata"]
        version = about["version"]
        pages.append(("evidence", about["page"]))
    beyond = [
        each.seconds - log.commands[each.step]
        for each in log.ended
        if each.seconds is not None and each.step in log.commands
    ]
    mean = sum(beyond) / len(beyond) if beyond else 0.0
    rows = [
        (
            "overhead",
            f"{mean:.1f} s a step beyond its own work, {max(beyond, default=0):.1f} s at most",
        ),
        *pages,
        ("log", str(file)),
    ]
    return Outcome(rows, log.ended, decision, version)
