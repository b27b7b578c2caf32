"""`task=explain`: why a trained model answers as it does, and how far the explanation holds."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import softmax

from digits.contract.files import write_atomically
from digits.contract.manifest import ONNX
from digits.data.folder import read_image
from digits.data.types import Digits
from digits.errors import ConfigError, Finding
from digits.evaluation import attribution_figures as figures
from digits.evaluation.attribution_quality import INK, RANDOM, Judged, judge
from digits.evaluation.classify import Classify, torch_classifier
from digits.evaluation.explainers import Explainer
from digits.registry.find import Model, find_model
from digits.tasks.explain_summary import ExplainSummary, show
from digits.tasks.trained import trained_network
from digits.tracking.record import Record
from digits.tracking.run import Run
from digits.tracking.store import Tracking

log = logging.getLogger(__name__)

FOLDER = "explanations"
GALLERY, CURVES, ARRAYS, QUALITY = "gallery.png", "curves.png", "attributions.npz", "quality.json"
UNKNOWN = -1  # label of a digit that nobody has labelled


class Source(Protocol):
    """Where digits come from: the `data` config group."""

    def load(self) -> Digits:
        """Read the data and split it."""


@dataclass(frozen=True)
class Chosen:
    """The digits that are explained.

    Attributes:
        title: what they are.
        images: uint8 ``[N, 28, 28]``.
        labels: int64 ``[N]``, -1 where there is none.
        indices: int64 ``[N]``: of the held-out digits, or 0.. of the files.
        logits: float32 ``[N, 10]``.
    """

    title: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    logits: NDArray[np.float32]

    @property
    def answers(self) -> NDArray[np.int64]:
        """The classes that the model names, int64 ``[N]``."""
        return self.logits.argmax(1)

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Of all classes, float32 ``[N, 10]``."""
        shares: NDArray[np.float32] = softmax(self.logits, axis=1)
        return shares

    def captions(self, targets: NDArray[np.int64]) -> list[str]:
        """Say of each what it is, what it is read as, and what is explained if that is another."""
        texts = []
        for index, label, answer, target, shares in zip(
            self.indices, self.labels, self.answers, targets, self.probabilities, strict=True
        ):
            what = "" if label == UNKNOWN else f"#{index}: {label} "
            text = f"{what}read as {answer}\n{shares[answer]:.1%}"
            texts.append(
                text if target == answer else f"{text}\nwhy {target}? {shares[target]:.1%}"
            )
        return texts


def explain(
    record: Record,
    *,
    version: str | int,
    source: Source,
    explainers: Mapping[str, Explainer],
    tracking: Tracking,
    cache: str,
    registered_name: Annotated[str, Field(pattern=r"^[^/:.%\"']+$")] = "digits",
    indices: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None = None,
    mistakes: Annotated[int, Field(ge=1)] = 8,
    file: str | None = None,
    target: Annotated[int, Field(ge=0, le=9)] | None = None,
    judged: Annotated[int, Field(ge=0)] = 100,
) -> None:
    """Explain the chosen digits by every method, judge the methods, draw and track.

    Args:
        record: the job's folder and configuration.
        version: alias, number, run id, run folder or bundle folder.
        source: the data; digits are chosen from its test split.
        explainers: named methods.
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
        DataError: the data or the file cannot be read.
        ExplanationError: a method does not suit the model.
    """
    _assert_consistent(explainers, indices, file)
    client = tracking.client()
    model = find_model(client, str(version), name=registered_name, cache=Path(cache).expanduser())
    network = trained_network(model.folder, model.manifest)
    classify = torch_classifier(network)
    data = None
    if file is not None:
        chosen = _from_file(Path(file).expanduser(), model, classify)
    else:
        data = source.load()
        chosen = _from_data(data, classify, indices, mistakes)
    targets = chosen.answers if target is None else np.full_like(chosen.answers, target)
    folder = record.folder / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tracking.start(record) as run:
        run.log_record(record)
        _identify(run, model, data)
        maps = {name: each(network, chosen.images, targets) for name, each in explainers.items()}
        _save(folder, chosen, targets, maps, title=f"{model}: {chosen.title}")
        found = None
        if data is not None and judged:
            found = _judge(folder, network, explainers, data, judged, seed=record.seed)
            metrics = _metrics(found)
            write_atomically(record.metrics_file, json.dumps(metrics, indent=2) + "\n")
            run.log_metrics(metrics)
        run.log_folder(folder, FOLDER)
    summary = ExplainSummary(
        model=str(model),
        explained=chosen.title,
        captions=[text.replace("\n", ", ") for text in chosen.captions(targets)],
        judged=found,
        folder=folder,
        run_id=run.id,
        all_methods=len(explainers) > 1,
    )
    if record.job is None:
        show(summary)
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


def _from_file(path: Path, model: Model, classify: Classify) -> Chosen:
    image = read_image(path, model.manifest.preprocess())
    if not image.any():
        log.warning("%s shows no ink: what is explained is the blank page.", path)
    images = image[None]
    return Chosen(
        title=path.name,
        images=images,
        labels=np.array([UNKNOWN]),
        indices=np.array([0]),
        logits=classify(images),
    )


def _from_data(
    data: Digits, classify: Classify, indices: list[int] | None, mistakes: int
) -> Chosen:
    """Choose the digits at ``indices``, or those that the model is most wrong about."""
    test = data.test
    if indices is not None:
        beyond = [index for index in indices if index >= len(test)]
        if beyond:
            message = (
                f"{', '.join(map(str, beyond[:5]))}: {data.name} has {len(test):,} held-out "
                f"digits, numbered from 0"
            )
            raise ConfigError([Finding("explain.indices", message)])
        chosen = np.array(indices, dtype=np.int64)
        logits = classify(test.images[chosen])
        title = f"{len(chosen)} of the {len(test):,} held-out digits of {data.name}"
        return Chosen(title, test.images[chosen], test.labels[chosen], chosen, logits)
    logits = classify(test.images)
    sure = softmax(logits, axis=1).max(axis=1)
    wrong = np.flatnonzero(logits.argmax(1) != test.labels)
    if len(wrong):
        chosen = wrong[np.argsort(-sure[wrong], kind="stable")][:mistakes]
        title = f"worst {len(chosen)} of {len(wrong)} mistakes on {len(test):,} digits"
    else:
        chosen = np.argsort(sure, kind="stable")[:mistakes]
        title = f"no mistakes on {len(test):,} digits: the {len(chosen)} least certain answers"
    return Chosen(title, test.images[chosen], test.labels[chosen], chosen, logits[chosen])


def _identify(run: Run, model: Model, data: Digits | None) -> None:
    """Let the run say what is explained, from its first moment on."""
    tags = {
        "digits.model_run_id": model.manifest.run_id,
        "digits.onnx_sha256": model.manifest.files[ONNX],
    }
    if model.version is not None:
        tags["digits.model_version"] = f"{model.version.name}/{model.version.number}"
    run.set_tags(tags)
    if data is None:
        return
    run.log_dataset(
        data.name, digest=data.digest, description=data.description, context="explanation"
    )
    if data.name != model.manifest.data_name:
        log.warning(
            "The model learned from %s, not from %s: for that, data=%s.",
            model.manifest.data_name,
            data.name,
            model.manifest.data_name,
        )


def _save(
    folder: Path,
    chosen: Chosen,
    targets: NDArray[np.int64],
    maps: Mapping[str, NDArray[np.float32]],
    *,
    title: str,
) -> None:
    """Write the gallery and the raw arrays."""
    figures.gallery(chosen.images, chosen.captions(targets), maps, folder / GALLERY, title=title)
    arrays: dict[str, NDArray[Any]] = {
        "images": chosen.images,
        "labels": chosen.labels,
        "indices": chosen.indices,
        "logits": chosen.logits,
        "targets": targets,
        **{f"attribution_{name}": values for name, values in maps.items()},
    }
    with (folder / ARRAYS).open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)
    for name, values in maps.items():
        empty = int((~values.any((1, 2))).sum())
        if empty:
            log.warning("%s: %d of %d maps are all zero.", name, empty, len(values))


def _judge(
    folder: Path,
    network: Any,
    explainers: Mapping[str, Explainer],
    data: Digits,
    count: int,
    *,
    seed: int,
) -> Judged:
    """Judge the methods on digits drawn from the held-out ones, and draw the curves."""
    count = min(count, len(data.test))
    drawn = np.random.default_rng(seed).choice(len(data.test), count, replace=False)
    images = data.test.images[np.sort(drawn)]
    targets = torch_classifier(network)(images).argmax(1)
    found = judge(network, explainers, images, targets, seed=seed)
    figures.removal_curves(found.curves, (RANDOM, INK), folder / CURVES)
    facts = {name: quality.metrics() for name, quality in found.qualities.items()}
    write_atomically(folder / QUALITY, json.dumps(facts, indent=2, allow_nan=False) + "\n")
    return found


def _metrics(found: Judged) -> dict[str, float]:
    return {
        f"explain/{name}/{figure}": value
        for name, quality in found.qualities.items()
        for figure, value in quality.metrics().items()
    }
