"""What Kubeflow's local runners print, kept in a file and read for what happens to each step."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path

from pipelines.order import Event, State, Tell

BEGAN = re.compile(r"Executing task .*'([\w-]+)'")
ENDED = re.compile(r"Task .*'([\w-]+)'.* finished with status .*(SUCCESS|FAILURE)")
CACHED = re.compile(r"Task ([\w-]+) cache hit")
COMMAND = re.compile(r"task=(\w+) ended with exit code (-?\d+) after ([\d.]+) s")
COLOURS = re.compile(r"\x1b\[[\d;]*m")
INPUT_ENDS = "    }"  # Kubeflow shows a step's input first, as JSON, indented like all it prints
LAST_LINES = 15  # of a failed step, shown


class EngineLog(io.TextIOBase):
    """Takes what is printed, and tells of each step when it began and how it ended.

    Args:
        file: everything is kept there.
        tell: called for each event.

    Attributes:
        ended: how each step ended.
        commands: step -> seconds that its commands of ``run.py`` took.
        code: exit code of the last command of the step that failed first; None: none failed, or
            not with a command.
        last: the last lines of that step.
    """

    def __init__(self, file: Path, tell: Tell) -> None:
        self._stream = file.open("w", encoding="utf-8", buffering=1)
        self._tell = tell
        self._line = ""
        self._step, self._began = "", 0.0
        self._lines: list[str] = []
        self._code: int | None = None
        self._has_input = False
        self.ended: list[Event] = []
        self.commands: dict[str, float] = {}
        self.failed: str | None = None
        self.code: int | None = None
        self.last: list[str] = []

    def writable(self) -> bool:
        """See :class:`io.IOBase`."""
        return True

    def write(self, text: str) -> int:
        """Keep the text, and read it line by line."""
        text = COLOURS.sub("", text)
        if not self._stream.closed:
            self._stream.write(text)
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._read(line)
        return len(text)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        super().close()

    def _read(self, line: str) -> None:
        if found := BEGAN.search(line):
            self._step, self._began = found[1], time.monotonic()
            self._lines, self._code, self._has_input = [], None, False
            self._tell(Event(found[1], "began"))
        elif found := ENDED.search(line):
            self._end(found[1], failed=found[2] == "FAILURE")
        elif found := CACHED.search(line):
            self._add(Event(found[1], "cached"))
        elif line == INPUT_ENDS and not self._has_input:
            self._lines, self._has_input = [], True
        elif line.strip():
            self._lines.append(line.strip())
            if found := COMMAND.search(line):
                self._code = int(found[2])
                spent = self.commands.get(self._step, 0.0)
                self.commands[self._step] = spent + float(found[3])

    def _end(self, step: str, *, failed: bool) -> None:
        if failed and self.failed is None:
            self.failed, self.code, self.last = step, self._code, self._lines[-LAST_LINES:]
        state: State = "failed" if failed else "done"
        self._add(Event(step, state, time.monotonic() - self._began))

    def _add(self, event: Event) -> None:
        self.ended.append(event)
        self._tell(event)


@contextlib.contextmanager
def printed_to(log: EngineLog) -> Iterator[None]:
    """Have standard output, and what is logged, go to ``log``.

    The runners take the handlers of the root logger away and put them back; what they log between
    two steps goes to the handlers that are there.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = [logging.StreamHandler(log)]
    root.setLevel(logging.INFO)
    try:
        with contextlib.redirect_stdout(log):
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
