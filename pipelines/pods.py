"""What Kubernetes is told about the pods that the steps run in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field

Resource = Literal["cpu", "memory", "gpu"]
DEFAULT = "default"  # of steps that are not named
GPU = "nvidia.com/gpu"
BACKOFF = "10s"  # before the first further attempt; twice as long before each next

SecretKey = Annotated[str, Field(pattern=r"^[^/]+/[^/]+$")]


@dataclass(frozen=True)
class Pods:
    """Resources, secrets, volumes and the rest; the same for all steps but for the resources.

    What is None is not said.

    Attributes:
        resources: step, or ``default`` -> cpu (``500m``), memory (``4Gi``) and gpu (a number).
        environment: variable -> value.
        secrets: variable -> ``secret/key`` that it gets its value from.
        volumes: folder in the pods -> persistent volume claim that is mounted there.
        retries: further attempts of a step that fails; none of a step that moves or deploys.
        timeout_seconds: of each step; None: none.
        pull_policy: when the image is fetched anew.
        pull_secrets: secrets that the registry of the image asks for.
        node_selector: label -> value that a node must have.
    """

    resources: Mapping[str, Mapping[Resource, str | float]] = field(default_factory=dict)
    environment: Mapping[str, str] | None = None
    secrets: Mapping[str, SecretKey] | None = None
    volumes: Mapping[str, str] | None = None
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    timeout_seconds: Annotated[int, Field(gt=0)] | None = None
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    pull_secrets: Sequence[str] = ()
    node_selector: Mapping[str, str] | None = None

    def keep(self, folder: str) -> bool:
        """Tell whether what is written to ``folder`` outlives a pod."""
        return any(PurePosixPath(folder).is_relative_to(place) for place in self.volumes or {})

    def settle(self, step: str, task: Any) -> None:
        """Say all of it of the task of a step."""
        from kfp import kubernetes

        self._resources(step, task)
        for variable, value in (self.environment or {}).items():
            task.set_env_variable(variable, value)
        if self.retries and step not in ("promote", "deploy", "report"):
            task.set_retry(self.retries, backoff_duration=BACKOFF, backoff_factor=2.0)
        for variable, named in (self.secrets or {}).items():
            secret, _, key = named.partition("/")
            kubernetes.use_secret_as_env(
                task, secret_name=secret, secret_key_to_env={key: variable}
            )
        for place, claim in (self.volumes or {}).items():
            kubernetes.mount_pvc(task, pvc_name=claim, mount_path=place)
        kubernetes.set_image_pull_policy(task, self.pull_policy)
        if self.pull_secrets:
            kubernetes.set_image_pull_secrets(task, list(self.pull_secrets))
        for label, value in (self.node_selector or {}).items():
            kubernetes.add_node_selector(task, label_key=label, label_value=value)
        if self.timeout_seconds is not None:
            kubernetes.set_timeout(task, self.timeout_seconds)

    def _resources(self, step: str, task: Any) -> None:
        wanted = {**self.resources.get(DEFAULT, {}), **self.resources.get(step, {})}
        if cpu := wanted.get("cpu"):
            task.set_cpu_request(str(cpu)).set_cpu_limit(str(cpu))
        if memory := wanted.get("memory"):
            task.set_memory_request(str(memory)).set_memory_limit(str(memory))
        if gpu := wanted.get("gpu"):
            task.set_accelerator_type(GPU).set_accelerator_limit(int(gpu))
