"""Run a Hydra application with the steps of its sweep marked: traced.py <script> <arguments>."""

from __future__ import annotations

import runpy
import sys

from digits.contract import switches
from scripts.benchmarks.noop import marks

if __name__ == "__main__":
    switches.apply()  # as run.py does, before any library
    marks.trace_sweeper()
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
