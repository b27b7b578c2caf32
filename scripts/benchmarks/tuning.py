"""The search: its own cost, idle slots, quality for a budget, and what starting takes."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from scripts.benchmarks._tuning_noop import overhead, slots
from scripts.benchmarks._tuning_quality import command, quality
from scripts.benchmarks._tuning_start import fixed, start

PARTS: dict[str, Callable[..., None]] = {
    "command": command,
    "overhead": overhead,
    "slots": slots,
    "start": start,
    "fixed": fixed,
    "quality": quality,
}


def main() -> None:
    """Measure what is missing of each part, then print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; or all")
    parser.add_argument("--fresh", action="store_true", help="measure everything again")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if unknown := [part for part in options.parts if part not in PARTS]:
        parser.error(f"{', '.join(unknown)}: not one of {', '.join(PARTS)}")
    for part in options.parts or PARTS:
        PARTS[part](options.repeats, fresh=options.fresh)


if __name__ == "__main__":
    main()
