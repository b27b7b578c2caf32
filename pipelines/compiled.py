"""The pipeline as a file: the intermediate representation that Kubeflow runs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pipelines.order import Order, Outcome, Tell
from pipelines.pods import Pods


class Compile:
    """Write the pipeline, with the values that are typed now as defaults of its parameters.

    Args:
        file: where to; ends with ``.yaml``.
        image: that every step runs in; best by its digest: it stands for the program in the keys
            of the cache.
        root: folder of everything that steps write, in their pods.
        pods: what Kubernetes is told about them.
    """

    here = False

    def __init__(
        self,
        *,
        file: Annotated[str, Field(pattern=r"\.ya?ml$")],
        image: Annotated[str, Field(min_length=1)],
        root: str,
        pods: Pods,
    ) -> None:
        self.file = Path(file).expanduser().absolute()
        self.image = image
        self.root = root
        self.pods = pods
        self.keeps = pods.keep(root)

    def code(self, project: Path) -> str:
        """See :class:`~pipelines.order.Runner`."""
        return self.image

    def write(self, order: Order) -> Path:
        """Compile, and put the file where it belongs, as a whole."""
        from kfp import compiler

        from pipelines.graph import pipeline

        graph = pipeline(order, self.image, self.pods.settle)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.file.parent) as scratch:
            draft = Path(scratch) / "pipeline.yaml"
            compiler.Compiler().compile(graph, str(draft), pipeline_parameters=order.parameters())
            draft.replace(self.file)
        return self.file

    def run(self, order: Order, folder: Path, tell: Tell) -> Outcome:
        """See :class:`~pipelines.order.Runner`; nothing is run."""
        file = self.write(order)
        return Outcome([("pipeline", str(file)), ("image", self.image)])
