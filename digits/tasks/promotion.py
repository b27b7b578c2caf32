"""Deciding on one challenger, from two bundles to evidence, card and alias."""

from __future__ import annotations

import functools
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient

from digits import STARTED
from digits.contract.files import write_atomically
from digits.contract.manifest import CONFIG, ONNX
from digits.data.types import Digits
from digits.errors import RegistryError
from digits.evaluation.classify import onnx_classifier
from digits.promotion import champion
from digits.promotion.card import description, model_card
from digits.promotion.evidence import Case, Judged, document, metrics
from digits.promotion.evidence_page import page
from digits.promotion.gate import Gate
from digits.promotion.measured import Candidate, assert_judges, measure, steps
from digits.registry.find import Model, find_model
from digits.registry.versions import DECISION, describe, tag
from digits.tasks import commands
from digits.tasks.progress import progress
from digits.tasks.screens import screen
from digits.tracking.faults import without_password
from digits.tracking.record import Record, git_commit
from digits.tracking.run import Run

log = logging.getLogger(__name__)

FOLDER = "promotion"
PAGE, EVIDENCE, CARD = "evidence.html", "evidence.json", "model_card.md"


@dataclass(frozen=True)
class Outcome:
    """A decision, and where it is told.

    Attributes:
        case: what it stands on.
        pair: who is champion and previous now; None where nothing was moved.
        page: the evidence.
        run_id: the run it is kept with.
        same: overrides that name its data and store.
    """

    case: Case
    pair: champion.Pair | None
    page: Path
    run_id: str
    same: Sequence[str]


@dataclass(frozen=True)
class Promotion:
    """Everything that one decision needs.

    Attributes:
        record: the job's folder and configuration.
        data: both are judged on its test split.
        gate: the limits.
        challenger: a registered version.
        name: the registered model.
        cache: folder that bundles are fetched to.

    Raises:
        DataError: nothing can be judged on the data.
    """

    record: Record
    data: Digits
    gate: Gate
    challenger: Model
    name: str
    cache: Path

    def __post_init__(self) -> None:
        assert_judges(self.data)

    def decide(self, run: Run, *, moves: bool = True) -> Outcome:
        """Judge, keep the evidence, and, where it ``moves``, move the aliases of what passes.

        Whoever became champion while this one was judged is what it is judged against next.
        """
        data, version = self.data, self.challenger.version
        assert version is not None
        run.log_dataset(
            data.name, digest=data.digest, description=data.description, context="evaluation"
        )
        run.set_tags({"digits.model_version": f"{self.name}/{version.number}"})
        over = champion.pair(run.client, self.name).champion
        while True:
            case = self._judge(run, over)
            self._keep(run, case)
            if not case.verdict.passed or not moves:
                return self._outcome(run, case, None)
            moved = champion.promote(run.client, version, over=over)
            if moved is not None:
                return self._outcome(run, case, moved)
            over = champion.pair(run.client, self.name).champion
            log.warning("Another version became champion meanwhile: judging against that one.")

    def _outcome(self, run: Run, case: Case, pair: champion.Pair | None) -> Outcome:
        page_file = self.record.folder / FOLDER / PAGE
        same = commands.same(self.record, self.data.name)
        return Outcome(case, pair, page_file, run.id, same)

    def _judge(self, run: Run, over: int | None) -> Case:
        models = [self.challenger]
        if over is not None:
            models.append(self._champion(run.client, over))
        candidates = [_candidate(model, seed=self.record.seed) for model in models]
        with progress(steps(len(candidates))) as step:
            found = measure(candidates, self.data, seed=self.record.seed, step=step)
        judged = [
            Judged(str(model), model.version.number, model.manifest, measured)
            for model, measured in zip(models, found, strict=True)
            if model.version is not None
        ]
        challenger, against = judged[0], judged[1] if over is not None else None
        verdict = self.gate.judge(
            challenger.measured,
            against.measured if against else None,
            rolled_back=_was_rolled_back(run.client, self.name, challenger.number),
            seed=self.record.seed,
        )
        return Case(
            challenger=challenger,
            champion=against,
            data=self.data,
            verdict=verdict,
            limits={
                key.removeprefix("gate."): value
                for key, value in self.record.parameters.items()
                if key.startswith("gate.") and not key.endswith("_target_")
            },
            command=commands.run(*self.record.overrides),
            commit=git_commit(Path(__file__).parent),
            run_id=run.id,
        )

    def _champion(self, client: MlflowClient, number: int) -> Model:
        try:
            return find_model(client, str(number), name=self.name, cache=self.cache)
        except RegistryError as error:
            raise RegistryError(
                f"The champion cannot be compared with: {error}. Take it back "
                f"(task=promote action=rollback), or delete that version in the registry"
            ) from error

    def _keep(self, run: Run, case: Case) -> None:
        """Write evidence and card, and let the version point to them, before anything moves."""
        folder = self.record.folder / FOLDER
        folder.mkdir(exist_ok=True)
        facts = document(case)
        text = json.dumps(facts, indent=2, allow_nan=False, ensure_ascii=False)
        card = model_card(facts, name=self.name, tracking_uri=without_password(run.uri))
        numbers = metrics(case)
        write_atomically(folder / EVIDENCE, text + "\n")
        write_atomically(folder / PAGE, page(facts, case))
        write_atomically(folder / CARD, card)
        write_atomically(self.record.metrics_file, json.dumps(numbers, indent=2) + "\n")
        run.log_folder(folder, FOLDER)
        run.log_metrics(numbers)
        run.set_tags({DECISION: facts["decision"]})
        version = self.challenger.version
        assert version is not None
        describe(run.client, version, description(card, run_id=run.id))
        against = str(case.champion.number) if case.champion else "none"
        tag(
            run.client,
            version,
            {
                DECISION: facts["decision"],
                "promotion.reasons": "; ".join(facts["reasons"]) or "none",
                "promotion.against": against,
                "promotion.run_id": run.id,
                "promotion.evidence": f"runs:/{run.id}/{FOLDER}/{PAGE}",
                "promotion.model_card": f"runs:/{run.id}/{FOLDER}/{CARD}",
            },
        )


def _candidate(model: Model, *, seed: int) -> Candidate:
    sanity = None
    if CONFIG in model.manifest.files:
        from digits.evaluation.sanity import randomisation_similarity
        from digits.tasks.trained import trained_network

        network = trained_network(model.folder, model.manifest)
        sanity = functools.partial(randomisation_similarity, network, seed=seed)

    return Candidate(
        name=str(model),
        classify=onnx_classifier(model.folder / ONNX),
        temperature=model.manifest.temperature,
        onnx_bytes=(model.folder / ONNX).stat().st_size,
        sanity=sanity,
    )


def _was_rolled_back(client: MlflowClient, name: str, number: int) -> bool:
    """Tell whether the last move that ended this version's time as champion took it back."""
    ends = [move for move in champion.moves(client, name) if move.before.champion == number]
    return bool(ends) and ends[-1].action == champion.ROLLBACK


def show(outcome: Outcome) -> None:
    """Print what was decided, where it is told, and what can be done next."""
    case, pair = outcome.case, outcome.pair
    rows = [
        ("decision", _decision(outcome)),
        ("challenger", case.challenger.name),
        ("against", case.champion.name if case.champion else "no champion yet"),
        ("data", case.data.description),
        *(
            (each.name, f"{'met' if each.passed else 'NOT MET'}: {each.why}")
            for each in case.verdict.criteria
        ),
        *(("note", note) for note in case.notes()),
    ]
    if pair is not None:
        rows.append(("champion", f"version {pair.champion}, previous: {pair.previous or 'none'}"))
    rows += [
        ("run", outcome.run_id),
        ("page", str(outcome.page)),
        ("card", str(outcome.page.with_name(CARD))),
        ("all in all", f"{time.monotonic() - STARTED:.0f} s"),
    ]
    screen.show(rows, _next_commands(outcome))


def _decision(outcome: Outcome) -> str:
    if outcome.pair is not None:
        return "promoted"
    return "passed; nothing is moved" if outcome.case.verdict.passed else "rejected"


def _next_commands(outcome: Outcome) -> list[tuple[str, str]]:
    same, version = outcome.same, f"version={outcome.case.challenger.number}"
    back = (commands.run("task=promote", "action=rollback", *same), "take it back")
    explain = (commands.run("task=explain", version, *same), "what it looks at")
    serve = (commands.run("task=serve", *same), "a page to draw on, and an API")
    if outcome.pair is None:
        promote = (commands.run("task=promote", version, *same), "make it the champion")
        return [promote, explain] if outcome.case.verdict.passed else [explain]
    return [serve, back, explain] if outcome.pair.previous else [serve, explain]
