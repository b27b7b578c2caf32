"""`experiment=best sweep=<folder>`: the best configuration of a sweep, trained in full."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError  # type: ignore[import-untyped]

from digits.errors import ConfigError, Finding

BEST_FILE = "best.yaml"
CHOICE = "experiment"
KEY = "sweep"


def recomposed(config: DictConfig) -> DictConfig:
    """Return what ``experiment=best`` stands for; any other configuration as it is.

    It is composed from the overrides of the sweep's best job and those typed now. The check of an
    unnamed sweep's configuration takes the place-holder for what it is.

    Raises:
        ConfigError: no sweep is named, or it has not one best job.
    """
    job = HydraConfig.get()
    if job.runtime.choices.get(CHOICE) != "best":
        return config
    if config.get(KEY) is None and config.check_only:
        return config
    here = Path(job.runtime.cwd)
    return compose("config", expanded(list(job.overrides.task), here))


def expanded(overrides: Sequence[str], here: Path) -> list[str]:
    """Replace ``experiment=best sweep=<folder>`` by the overrides that it stands for.

    Args:
        overrides: as typed, in Hydra's grammar.
        here: the folder that a relative path starts from.

    Raises:
        ConfigError: no sweep is named, or it has not one best job.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    if not any(_is(each, CHOICE) and each.value() == "best" for each in parsed):
        return list(overrides)
    named = [each.value() for each in parsed if _is(each, KEY)]
    if not named or not isinstance(named[-1], str):
        raise _fault("name the sweep: experiment=best sweep=<its folder>")
    rest = [
        text
        for text, each in zip(overrides, parsed, strict=True)
        if not (_is(each, KEY) or _is(each, CHOICE))
    ]
    # What was best may itself have begun at the best of an earlier sweep.
    return [*expanded(_overrides(here / Path(named[-1]).expanduser()), here), *rest]


def _is(override: Override, key: str) -> bool:
    return override.key_or_group == key and not override.is_delete()


def _overrides(folder: Path) -> list[str]:
    """Return the overrides of the best job of the sweep in ``folder``."""
    try:
        content: Any = OmegaConf.to_container(OmegaConf.load(folder / BEST_FILE))
    except FileNotFoundError:
        what = f"it has no {BEST_FILE}" if folder.is_dir() else "there is no such folder"
        raise _fault(f"{folder} is not a search that has come to a result: {what}") from None
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise _fault(f"{folder / BEST_FILE} cannot be read: {error}") from error
    if not isinstance(content, dict) or not ("overrides" in content or "pareto" in content):
        raise _fault(f"{folder / BEST_FILE} names no overrides: it was not written by a search")
    if "pareto" in content:
        jobs = ", ".join(str(entry.get("job")) for entry in content["pareto"])
        raise _fault(
            f"{folder} was judged by several metrics and has no single best job. Choose one of "
            f"its Pareto front (jobs {jobs}) and run the command that {BEST_FILE} gives for it"
        )
    return [str(override) for override in content["overrides"]]


def _fault(message: str) -> ConfigError:
    return ConfigError([Finding(KEY, message)])
