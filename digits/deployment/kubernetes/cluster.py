"""A cluster, through kubectl: its contexts, credentials and rights are those of the user."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from digits.deployment.kubernetes.pod import Document
from digits.errors import DeploymentError

log = logging.getLogger(__name__)

ANSWER_SECONDS = 10
SPARE_SECONDS = 20.0  # beyond what kubectl itself was told to wait
LAST_LINES = 6  # of what kubectl says
SERVED = re.compile(r"127\.0\.0\.1:\d+")


class UnreachableError(DeploymentError):
    """No cluster is there to be asked."""


class Cluster:
    """One namespace of a cluster.

    Args:
        namespace: that everything lies in.
        context: of the user's kubeconfig; None: the present one.

    Attributes:
        context: by its name; None: kubectl knows none.

    Raises:
        UnreachableError: there is no kubectl.
    """

    def __init__(self, namespace: str, context: str | None) -> None:
        program = shutil.which("kubectl")
        if program is None:
            raise UnreachableError(
                "deployment=kserve needs kubectl, and there is none on the PATH: "
                "https://kubernetes.io/docs/tasks/tools has it for every system"
            )
        self.namespace = namespace
        # By its name: which one is the present one may be another by the next command.
        self.context = context or self._present([program])
        self._command = [program, *([f"--context={self.context}"] if self.context else [])]
        self._of_namespace = [*self._command, f"--namespace={namespace}"]
        self._told = f"context {self.context}" if self.context else "the present context"

    def check(self) -> None:
        """Look whether it answers, and has the namespace.

        Raises:
            UnreachableError: it does not, or has not; says what to do.
            DeploymentError: it refuses to tell.
        """
        try:
            self._run(self._command, "version", "--output=json")
        except DeploymentError as error:
            raise UnreachableError(
                f"No cluster answers at {self._told} of kubectl (deployment.context): {error}"
            ) from error
        if not self._run(self._command, "get", "namespace", self.namespace, *_AS_FOUND):
            raise UnreachableError(
                f"The cluster has no namespace {self.namespace} (deployment.namespace). Make it:\n"
                f"  kubectl create namespace {self.namespace}"
            )

    def find(self, resource: str) -> Document | None:
        """Return a resource such as ``deployment.apps/digits``; None: it is not there.

        Raises:
            DeploymentError: the cluster refuses, or does not know such resources.
        """
        found = self._run(self._of_namespace, "get", resource, *_AS_FOUND)
        if not found:
            return None
        document: Document = json.loads(found)
        return document

    def apply(self, manifests: str) -> None:
        """Make or change what YAML describes; fields that others manage are left to them.

        Raises:
            DeploymentError: the cluster refuses one of them.
        """
        arguments = ["--server-side", "--force-conflicts", "--field-manager=digits", "-f", "-"]
        self._run(self._of_namespace, "apply", *arguments, given=manifests)

    def wait(self, resource: str, seconds: float) -> None:
        """Wait until a Deployment is rolled out, or an InferenceService ready.

        Raises:
            DeploymentError: it is not by then.
        """
        log.info("Waiting for the pods of %s, %g s at most", resource, seconds)
        limit = f"--timeout={round(seconds)}s"
        if resource.startswith("deployment."):
            arguments = ["rollout", "status", resource, limit]
        else:
            arguments = ["wait", "--for=condition=Ready", resource, limit]
        self._run(self._of_namespace, *arguments, seconds=seconds)

    def delete(self, resource: str, seconds: float) -> None:
        """Remove a resource and what it has made; one that is gone is no fault.

        Raises:
            DeploymentError: it is still there after that time.
        """
        limit = f"--timeout={round(seconds)}s"
        self._run(
            self._of_namespace,
            "delete",
            resource,
            "--ignore-not-found",
            "--cascade=foreground",
            limit,
            seconds=seconds,
        )

    @contextmanager
    def reaching(self, service: str, path: str) -> Iterator[str]:
        """Give an address on this machine for one path of a Service, through the cluster's API.

        Nothing else is let through: the proxy has the rights of this user, and takes requests of
        every user of this machine.

        Raises:
            DeploymentError: it cannot be had.
        """
        way = f"/api/v1/namespaces/{self.namespace}/services/{service}/proxy{path}"
        command = [*self._command, "proxy", "--port=0", f"--accept-paths=^{way}$"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as proxy:
            try:
                assert proxy.stdout is not None
                line = proxy.stdout.readline().decode(errors="replace")
                found = SERVED.search(line)
                if found is None:
                    raise DeploymentError(f"kubectl proxy does not start: {line.strip()}")
                yield f"http://{found[0]}{way}"
            finally:
                proxy.terminate()

    def _present(self, command: Sequence[str]) -> str | None:
        try:
            return self._run(command, "config", "current-context").strip() or None
        except DeploymentError:
            return None  # kubectl runs in a pod, or there is no cluster: what follows tells

    def _run(
        self,
        command: Sequence[str],
        *arguments: str,
        given: str | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> str:
        try:
            done = subprocess.run(
                [*command, f"--request-timeout={round(max(seconds, ANSWER_SECONDS))}s", *arguments],
                input=given or "",
                capture_output=True,
                text=True,
                timeout=seconds + SPARE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            told = f"kubectl {arguments[0]} has no answer after {error.timeout:g} s"
            raise DeploymentError(told) from error
        if done.returncode:
            raise DeploymentError(_explained(done.stderr or done.stdout))
        return done.stdout


_AS_FOUND = ("--ignore-not-found", "--output=json")


def _explained(told: str) -> str:
    """Return the last lines of what kubectl says, without its own log."""
    lines = [line for line in told.splitlines() if line and not re.match(r"[EWI]\d{4} ", line)]
    said = "\n".join(lines[-LAST_LINES:])
    if "Forbidden" in said or "forbidden" in said:
        said += "\nThe rights that this takes are listed in docs/deployment/kubernetes.md"
    if "have a resource type" in said:
        said += "\nThis cluster has no KServe: install it, or go without: deployment.mode=plain"
    return said
