"""`task=explain`: why a model gives its answers, by several methods, and how far to trust each."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field
from torch import nn

from digits.contract.files import write_atomically
from digits.data.folder import read_image
from digits.data.source import Source
from digits.data.types import Digits
from digits.errors import ConfigError, DataError, Finding
from digits.evaluation.attribution_quality import Judged, judge, sample
from digits.evaluation.classify import torch_classifier
from digits.evaluation.explainers import Explainer
from digits.evaluation.explanations import Explanations, suited
from digits.evaluation.selection import Selection, numbered, picture, worst_mistakes
from digits.registry.find import Model, find_model
from digits.registry.versions import RegisteredName
from digits.tasks import commands
from digits.tasks.screens.explain import ExplainSummary, figures
from digits.tasks.screens.screen import show
from digits.tasks.trained import trained_network
from digits.tracking.record import Record
from digits.tracking.run import Run
from digits.tracking.store import Tracking

log = logging.getLogger(__name__)

FOLDER = "explanations"


def explain(
    record: Record,
    *,
    version: str | int,
    source: Source,
    explainers: Mapping[str, Explainer],
    tracking: Tracking,
    cache: str,
    registered_name: RegisteredName = "digits",
    indices: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None = None,
    mistakes: Annotated[int, Field(ge=1)] = 8,
    file: str | None = None,
    target: Annotated[int, Field(ge=0, le=9)] | None = None,
    judged: Annotated[int, Field(ge=0)] = 64,
) -> None:
    """Explain the chosen digits by every method, judge the methods, draw and track.

    Args:
        record: the job's folder and configuration.
        version: alias, number, run id, run folder or bundle folder.
        source: the data; digits are chosen from its test split.
        explainers: named methods; those that do not suit the model are named and left out.
        tracking: where the model is registered and this is recorded.
        cache: folder that bundles are fetched to.
        registered_name: the registered model.
        indices: of the digits to explain; None for the worst mistakes.
        mistakes: so many of them, the most confident first.
        file: a picture to explain instead; the data is then not read, and nothing is judged.
        target: the class that is explained; None for the model's answer to each digit.
        judged: digits, drawn by the seed, that the methods are judged on; 0 for none.

    Raises:
        ConfigError: an index beyond the data, nothing to explain with, a file and indices at once.
        RegistryError: there is no such model, it is damaged, or too old to be rebuilt.
        DataError: the data or the file cannot be read, or there are no held-out digits.
        ExplanationError: no method suits the model.
    """
    _assert_consistent(explainers, indices, file)
    client = tracking.client()
    model = find_model(client, str(version), name=registered_name, cache=Path(cache).expanduser())
    network = trained_network(model.folder, model.manifest)
    data = None if file is not None else _loaded(source)
    selection = _selection(network, model, data, indices=indices, mistakes=mistakes, file=file)
    explainers, unsuited = suited(network, explainers, selection.images[0])
    for reason in unsuited.values():
        log.warning("Left out: %s", reason)
    folder = record.folder / FOLDER
    with record.claimed(), tracking.start(record) as run:
        run.log_record(record)
        _identify(run, model, data)
        folder.mkdir(parents=True, exist_ok=True)
        explanations = Explanations.make(network, explainers, selection, target=target)
        explanations.save(folder, title=f"{model}: {selection.title}")
        for name, count in explanations.zero().items():
            log.warning("%s: %d of %d maps are all zero.", name, count, len(selection.images))
        found = None
        if data is not None and judged:
            found = _judge(record, run, network, explainers, data, judged, folder)
        run.log_folder(folder, FOLDER)
    if record.job is None:
        summary = ExplainSummary(
            model=str(model),
            explained=selection.title,
            captions=[text.replace("\n", ", ") for text in explanations.captions],
            unsuited=unsuited,
            judged=found,
            folder=folder,
            run_id=run.id,
            all_methods=len(explainers) > 1,
            same=commands.same(record, data.name if data else commands.FIRST_DATA),
        )
        show(summary.rows(), summary.next_commands(), tables=figures(summary))
    else:
        log.info("Job %d: %s, %s", record.job, model, folder)


def _assert_consistent(
    explainers: Mapping[str, Explainer], indices: list[int] | None, file: str | None
) -> None:
    if not explainers:
        message = "holds no method: choose one with explainer=..."
        raise ConfigError([Finding("explainer", message)])
    if file is not None and indices is not None:
        message = "is a picture of its own: leave out explain.indices, or the file"
        raise ConfigError([Finding("explain.file", message)])


def _loaded(source: Source) -> Digits:
    data = source.load()
    if not len(data.test):
        raise DataError(f"{data.name}: its test split is empty: there is nothing to explain")
    return data


def _selection(
    network: nn.Module,
    model: Model,
    data: Digits | None,
    *,
    indices: list[int] | None,
    mistakes: int,
    file: str | None,
) -> Selection:
    classify = torch_classifier(network)
    if data is None:
        path = Path(str(file)).expanduser()
        image = read_image(path, model.manifest.preprocess())
        if not image.any():
            log.warning("%s shows no ink: what is explained is the blank page.", path)
        return picture(image, classify, title=path.name)
    if indices is None:
        return worst_mistakes(data.test, mistakes, classify)
    beyond = [index for index in indices if index >= len(data.test)]
    if beyond:
        message = (
            f"{', '.join(map(str, beyond[:5]))}: {data.name} has {len(data.test):,} held-out "
            f"digits, numbered from 0"
        )
        raise ConfigError([Finding("explain.indices", message)])
    return numbered(data.test, indices, classify)


def _identify(run: Run, model: Model, data: Digits | None) -> None:
    """Let the run say what is explained, from its first moment on."""
    run.set_tags(model.tags)
    if data is None:
        return
    run.log_dataset(
        data.name, digest=data.digest, description=data.description, context="explanation"
    )
    learned = model.manifest.data_name
    if data.name != learned:
        log.warning("The model learned from %s, not from %s.", learned, data.name)


def _judge(
    record: Record,
    run: Run,
    network: nn.Module,
    explainers: Mapping[str, Explainer],
    data: Digits,
    count: int,
    folder: Path,
) -> Judged:
    """Judge the methods on digits drawn by the seed; write and track what that came to."""
    part = sample(data.test, count, seed=record.seed)
    targets = torch_classifier(network)(part.images).argmax(1)
    found = judge(network, explainers, part.images, targets, seed=record.seed)
    found.save(folder)
    write_atomically(record.metrics_file, json.dumps(found.metrics(), indent=2) + "\n")
    run.log_metrics(found.metrics())
    return found
