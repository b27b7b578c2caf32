"""The pipeline: which step follows which, what is cached, and where the gate stands."""

# No `from __future__ import annotations`: Kubeflow reads the types themselves.

from collections.abc import Callable
from typing import Any

from kfp import dsl
from kfp.dsl import base_component

from pipelines import components
from pipelines.order import NONE, PASSED, Order

#: what changes things, or asks how they are now, is done anew in each run
FRESH = frozenset({"drift", "data", "features", "gate", "promote", "reject", "deploy", "report"})

Settle = Callable[[str, Any], None]


def pipeline(
    order: Order, image: str, settle: Settle | None = None
) -> base_component.BaseComponent:
    """Return the pipeline of an order, ready to be compiled or called.

    Args:
        order: its form; the values are the parameters' own defaults, see ``order.parameters()``.
        image: that every step runs in.
        settle: called with the name and the task of each step, to add what an engine wants.
    """
    steps = _Steps(image, settle or (lambda name, task: None))

    @dsl.pipeline(  # type: ignore[untyped-decorator]
        name="digits", description="From raw digits to a model that serves."
    )
    def digits(
        place: dict[str, Any],
        drift: list[str],
        data: list[str],
        features: list[str],
        search: list[str],
        train: list[str],
        evaluate: list[str],
        gate: list[str],
        promote: list[str],
        deploy: list[str],
    ) -> None:
        own = {
            "data": data, "features": features, "search": search, "train": train,
            "evaluate": evaluate, "gate": gate, "promote": promote, "deploy": deploy,
        }  # fmt: skip
        with dsl.ExitHandler(steps("report", place=place)):
            if order.when == "always":
                _body(order, steps, place, own)
                return
            seen = steps("drift", place=place, own=drift)
            with dsl.If(_returned(seen) == "drift"):
                _body(order, steps, place, own)

    return digits


class _Steps:
    """Makes the tasks of one pipeline."""

    def __init__(self, image: str, settle: Settle) -> None:
        self._image = image
        self._settle = settle

    def __call__(self, name: str, **arguments: Any) -> Any:
        component = dsl.component(
            getattr(components, name),
            base_image=self._image,
            install_kfp_package=False,  # it is in the image; a cluster may have no package index
            additional_funcs=[components.project],
        )
        task = component(**arguments)
        task.set_caching_options(name not in FRESH)
        self._settle(name, task)
        return task


def _returned(task: Any) -> Any:
    """Return what a step returns, whatever artifacts it has besides."""
    return task.outputs["Output"]


def _body(order: Order, steps: _Steps, place: Any, own: dict[str, Any]) -> None:
    digest = _returned(steps("data", place=place, own=own["data"]))
    known: dict[str, Any] = {"store": order.feature_store, "as_of": ""}
    if order.feature_store != NONE:
        filled = steps(
            "features", place=place, own=own["features"], digest=digest, store=order.feature_store
        )
        known["as_of"] = _returned(filled)
    best: Any = ""
    if order.search != NONE:
        searched = steps(
            "search",
            place=place,
            own=own["search"],
            train=own["train"],
            digest=digest,
            tuner=order.search,
            **known,
        )
        best = _returned(searched)
    trained = steps("train", place=place, own=own["train"], digest=digest, best=best, **known)
    version = _returned(trained)
    judged = {"place": place, "digest": digest, "version": version}
    evaluated = steps("evaluate", own=own["evaluate"], **judged)
    verdict = steps("gate", own=own["gate"], **judged).after(evaluated)
    # With an Else: a condition that a local runner cannot evaluate must not pass for success.
    with dsl.If(_returned(verdict) == PASSED):
        promoted = steps("promote", own=own["promote"], gate=own["gate"], **judged)
        if order.target != NONE:
            steps(
                "deploy",
                place=place,
                own=own["deploy"],
                target=order.target,
                version=_returned(promoted),
            )
    with dsl.Else():
        steps("reject", version=version, verdict=verdict.outputs["verdict"])
