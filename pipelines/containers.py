"""Every step in a container of the training image, by Kubeflow's own local runner."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from digits.errors import PipelineError
from pipelines.local import Subprocess
from pipelines.order import Order, Outcome, Tell

LABEL = "digits-pipeline"  # of the containers: the process that waits for them
ENGINE_SECONDS = 600  # for one answer of the engine: it may wait for a step
LOOK = "import kfp.dsl.executor_main; from pipelines import command, steps; command.assert_whole()"
#: a user without an entry in the image has no name and no home, which libraries ask for
AT_HOME = {"HOME": "/tmp", "USER": "digits", "LOGNAME": "digits"}


class Docker(Subprocess):
    """Every step is a container of the training image, on the Docker engine of this machine.

    They run as the user of this process: what they write belongs to whoever has typed the command.

    Args:
        image: has the project and its environment; docker/Dockerfile.train makes one.
        root: folder of everything that steps write; it is the same in the containers.
        cache: folder of what has been done; None: everything is done anew.
        network: of the containers; ``host`` reaches servers on this machine's loopback.
        memory: limit of each container, such as ``4g``; None: none.
        cpus: processors of each container; None: all.
        environment: variable -> value.
        mounts: further folder of this machine -> where it is in the containers, to be read.
    """

    here = False

    def __init__(
        self,
        *,
        image: Annotated[str, Field(min_length=1)],
        root: str,
        cache: str | None,
        network: str | None = None,
        memory: str | None = None,
        cpus: Annotated[float, Field(gt=0)] | None = None,
        environment: Mapping[str, str] | None = None,
        mounts: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(root=root, cache=cache)
        self.image = image if ":" in image.rpartition("/")[2] else f"{image}:latest"
        self.network, self.memory, self.cpus = network, memory, cpus
        self.environment, self.mounts = dict(environment or {}), dict(mounts or {})

    def code(self, project: Path) -> str:
        """Return the image's own digest: the project that counts is the one in it.

        Raises:
            PipelineError: no engine answers, there is no such image, or it lacks the project.
        """
        with _engine() as engine:
            return assert_suits(engine, self.image)

    def run(self, order: Order, folder: Path, tell: Tell) -> Outcome:
        """See :class:`~pipelines.order.Runner`."""
        from docker.types import Mount
        from kfp import local

        Path(self.root).mkdir(parents=True, exist_ok=True)
        mounts = [Mount(self.root, self.root, type="bind")]
        mounts += [
            Mount(inside, str(Path(here).expanduser().absolute()), type="bind", read_only=True)
            for here, inside in self.mounts.items()
        ]
        mark = str(os.getpid())
        chosen = {
            "network_mode": self.network,
            "mem_limit": self.memory,
            "nano_cpus": int(1e9 * self.cpus) if self.cpus else None,
        }
        logging.getLogger("kfp.local").setLevel(logging.WARNING)  # of packages to install: none are
        runner = local.DockerRunner(
            mounts=mounts,
            user=f"{os.getuid()}:{os.getgid()}",
            environment={
                **AT_HOME,
                "MPLCONFIGDIR": f"{self.root}/cache/matplotlib",  # its list of fonts takes seconds
                **self.environment,
            },
            labels={LABEL: mark},
            **{name: value for name, value in chosen.items() if value is not None},
        )
        try:
            return self._run(order, folder, tell, runner, self.image)
        except BaseException:
            _end(mark)  # a container does not end with the process that waits for it
            raise


@contextmanager
def _engine() -> Iterator[Any]:
    """Reach the engine of this machine.

    Raises:
        PipelineError: none answers.
    """
    from docker.client import DockerClient  # not by `import docker`: we have a folder of that name
    from docker.errors import DockerException

    try:
        engine = DockerClient.from_env(timeout=ENGINE_SECONDS)
        engine.ping()
    except DockerException as error:
        raise PipelineError(
            f"pipeline=docker: no Docker engine answers ({error}); start one, or run the steps as "
            f"processes: pipeline=subprocess"
        ) from error
    try:
        yield engine
    finally:
        engine.close()


def assert_suits(engine: Any, image: str) -> str:
    """Hold that an image is here and has what a step needs; return its digest.

    Kubeflow's runner would try to pull an image that is not here, and may take a container that
    ends at once for a success.

    Raises:
        PipelineError: it is not here, or lacks the project.
    """
    from docker.errors import ContainerError, DockerException, ImageNotFound

    try:
        found = engine.images.get(image)
        engine.containers.run(
            image,
            ["python3", "-c", LOOK],
            remove=True,
            network_disabled=True,
            environment={"_KFP_RUNTIME": "true"},
        )
    except ImageNotFound as error:
        raise PipelineError(
            f"pipeline.image: there is no image {image} on this machine: docker/Dockerfile.train "
            f"makes it"
        ) from error
    except ContainerError as error:
        told = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        raise PipelineError(
            f"pipeline.image: {image} lacks the project, or what its steps need "
            f"({told[-1] if told else error}): docker/Dockerfile.train makes one that has it"
        ) from error
    except DockerException as error:
        raise PipelineError(f"pipeline.image: {image} cannot be run: {error}") from error
    return str(found.id)


def _end(mark: str) -> None:
    """End the containers of the pipeline ``mark``."""
    from docker.errors import DockerException

    with _engine() as engine:
        for container in engine.containers.list(filters={"label": f"{LABEL}={mark}"}):
            with contextlib.suppress(DockerException):  # it has ended meanwhile
                container.kill()
