"""Find the run that `resume=` names, and compose its configuration again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from digits.config import canonical
from digits.config.instantiate import instantiate
from digits.errors import ResumeError, TrackingError
from digits.tasks import best
from digits.tracking.record import CONFIG_FILE, RUN_FILE

KEY = "resume"
RECORDED = (
    CONFIG_FILE,
    RUN_FILE,
    ".hydra/overrides.yaml",
    ".hydra/config.yaml",
    ".hydra/hydra.yaml",
)


def recomposed(config: DictConfig) -> DictConfig:
    """Return the configuration of the run that ``config.resume`` names.

    It is composed from the overrides recorded with the run plus those typed now, and has to come
    out as it was: a run goes on under the configuration it began with, or not at all.

    Raises:
        ResumeError: no such run, it is finished, or the configuration has changed; names what
            differs.
    """
    if config.get("reproduce") is not None:
        raise ResumeError("resume: leave out reproduce: what a run reproduces is in its own record")
    folder = _folder(config)
    missing = [name for name in RECORDED if not (folder / name).is_file()]
    if missing:
        raise ResumeError(
            f"resume: {folder} cannot be resumed, it has no {missing[0]}: the run ended before it "
            f"began to train, or this is no run folder. Start it again."
        )
    before = OmegaConf.load(folder / ".hydra" / "overrides.yaml")
    typed = [entry for entry in map(str, before) if not _names_a_run(entry)]
    typed += list(HydraConfig.get().overrides.task)  # a ListConfig would take over the sum
    typed = best.expanded(typed, _stood(folder))
    places = [f"paths.root={_quoted(_root(folder))}", f"paths.output={_quoted(folder)}"]
    again = compose("config", [*typed, *places])
    if again.get("reproduce") is not None:
        from digits.tasks import reproduce  # loads the store's libraries

        again = reproduce.rebuilt(again)
    then = OmegaConf.to_container(OmegaConf.load(folder / CONFIG_FILE))
    changes = canonical.differences(cast("dict[str, Any]", then), canonical.canonical(again))
    if changes:
        listed = "\n  ".join(changes)
        raise ResumeError(
            f"resume: the configuration of {folder} has changed, so it cannot go on:\n  {listed}"
        )
    _refuse_finished(again, folder)
    return again


def _names_a_run(override: str) -> bool:
    return override.lstrip("+").startswith(f"{KEY}=")


def _quoted(path: Path) -> str:
    """Return ``path`` as a quoted value of Hydra's override grammar."""
    escaped = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _root(folder: Path) -> Path:
    """Return ``paths.root`` as it was meant where the run was started."""
    root = OmegaConf.load(folder / ".hydra" / "config.yaml").paths.root
    return _stood(folder) / root


def _stood(folder: Path) -> Path:
    """Return the folder in which the run was started."""
    return Path(OmegaConf.load(folder / ".hydra" / "hydra.yaml").hydra.runtime.cwd)


def _refuse_finished(config: DictConfig, folder: Path) -> None:
    run_id = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))["run_id"]
    if instantiate(config.tracking).find(run_id).info.status == "FINISHED":
        raise ResumeError(f"resume: run {run_id} is finished; there is nothing to resume.")


def _folder(config: DictConfig) -> Path:
    """Return the run folder that a folder or a run id stands for."""
    named = Path(str(config[KEY])).expanduser()
    if named.is_dir():
        return named.resolve()
    try:
        run = instantiate(config.tracking).find(str(config[KEY]))
    except TrackingError as error:
        raise ResumeError(
            f"resume: {config[KEY]} is neither a run folder nor the id of a run: {error}"
        ) from error
    folder = run.data.tags.get("digits.folder")
    if not folder or not Path(folder).is_dir():
        raise ResumeError(
            f"resume: the folder of run {config[KEY]} ({folder or 'unknown'}) is not on this "
            f"machine"
        )
    return Path(folder)
