"""A plugin of pytest for scripts/mutate: every test begins with empty caches of our own modules.

mutmut tries a mutant in a fork of the process that ran all tests, and with those tests only that
called the function there: what a cache holds from another test would hide both.
"""

from __future__ import annotations

import functools
import sys

OURS = ("digits", "hydra_plugins", "serving")


def pytest_runtest_setup() -> None:
    """Empty what ``functools.cache`` has kept."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in OURS:
            for value in list(vars(module).values()):
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()
