"""What of a Kubernetes API kubectl speaks with here, at a port of this machine.

It keeps what it is given, and runs the pods of a Deployment or an InferenceService: one process of
the service, with the environment that the manifest gives to its container. It checks nothing:
that manifests are right is held against the schemas elsewhere.
"""

from __future__ import annotations

import http
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from serving.listening import listen
from tests.e2e.deployment.cluster_api import Document, Handler
from tests.e2e.serving import until


class FakeCluster:
    """A cluster of one namespace, ``default``.

    Args:
        folder: for kubeconfig and the logs of pods.
        bundles: digest of the network -> bundle: what an image or a registry would hold.

    Attributes:
        documents: (kind, name) -> what was applied.
        refuse: kind -> message: such a document is refused.
        lacks: groups and versions that are not installed.
        ready: whether pods that are started get ready.
    """

    def __init__(self, folder: Path, bundles: Mapping[str, Path]) -> None:
        self.documents: dict[tuple[str, str], Document] = {}
        self.refuse: dict[str, str] = {}
        self.lacks: set[str] = set()
        self.ready = True
        self.asked: list[str] = []
        self._folder = folder
        self._bundles = bundles
        self._pods: dict[str, tuple[subprocess.Popen[bytes], str]] = {}  # by the kind that made it
        handler = type("OfThisCluster", (Handler,), {"cluster": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def kubeconfig(self) -> Path:
        """What kubectl finds it by."""
        file = self._folder / "kubeconfig"
        server = f"http://127.0.0.1:{self._server.server_port}"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": server}}],
            "users": [{"name": "fake", "user": {}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
            "current-context": "fake",
        }
        file.write_text(yaml.safe_dump(content))
        return file

    def address_of(self, service: str) -> str:
        """Return where a Service's pods are reached through the API, as `kubectl proxy` does it."""
        base = f"http://127.0.0.1:{self._server.server_port}"
        return f"{base}/api/v1/namespaces/default/services/{service}:80/proxy"

    def close(self) -> None:
        """End it, and its pod."""
        for kind in list(self._pods):
            self._end_pod(kind)
        self._server.shutdown()
        self._server.server_close()

    def put(self, document: Document) -> Document:
        """Keep a document, and run what it describes."""
        kind, name = document["kind"], document["metadata"]["name"]
        document["metadata"]["uid"] = f"{kind}-{name}"
        self.documents[kind, name] = document
        if kind == "Deployment":
            self._run(kind, document["spec"]["template"]["spec"]["containers"][0])
            replicas = {"replicas": 2, "updatedReplicas": 2, "observedGeneration": 1}
            ready = {"readyReplicas": 2, "availableReplicas": 2} if self.ready else {}
            document["metadata"]["generation"] = 1
            document["spec"]["replicas"] = 2
            document["status"] = {**replicas, **ready}
        if kind == "InferenceService":
            self._run(kind, document["spec"]["predictor"]["containers"][0])
            state = "True" if self.ready else "False"
            document["status"] = {"conditions": [{"type": "Ready", "status": state}]}
        return document

    def remove(self, kind: str, name: str) -> Document | None:
        """Forget a document, and end what it described."""
        self._end_pod(kind)
        return self.documents.pop((kind, name), None)

    def forward(self, service: str, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
        """Ask a Service's pod."""
        made = "InferenceService" if service.endswith("-predictor") else "Deployment"
        address = self._pods[made][1]
        request = urllib.request.Request(address + path, body, {"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def _run(self, kind: str, container: Document) -> None:
        self._end_pod(kind)
        given = {each["name"]: each["value"] for each in container["env"]}
        bundle = self._bundles[given["DIGITS_MODEL_SHA256"]]
        with listen("127.0.0.1", 0) as listener:
            port = listener.getsockname()[1]
        own = {
            "DIGITS_MODEL": str(bundle),
            "DIGITS_SERVING_PORT": str(port),
            "DIGITS_SERVING_HOST": "127.0.0.1",
        }
        with (self._folder / "pod.log").open("ab") as log:
            pod = subprocess.Popen(
                [sys.executable, "-P", "-m", "serving.container"],
                env={**os.environ, **given, **own},
                stdout=log,
                stderr=log,
            )
        address = f"http://127.0.0.1:{port}"
        self._pods[kind] = (pod, address)
        until(lambda: _answers(address + container["readinessProbe"]["httpGet"]["path"]), 60)

    def _end_pod(self, kind: str) -> None:
        if kind in self._pods:
            pod, _ = self._pods.pop(kind)
            pod.send_signal(signal.SIGTERM)
            pod.wait(30)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == http.HTTPStatus.OK)
    except OSError:
        return False


def require_kubectl() -> None:
    """Skip a test where there is no kubectl, or fail where it has to be there."""
    if shutil.which("kubectl") is None:
        if os.environ.get("DIGITS_REQUIRE_SERVICES") == "1":
            pytest.fail("there is no kubectl")
        pytest.skip("there is no kubectl")


@contextmanager
def fake_cluster(folder: Path, bundles: Mapping[str, Path]) -> Iterator[FakeCluster]:
    """Run one for a while."""
    cluster = FakeCluster(folder, bundles)
    try:
        yield cluster
    finally:
        cluster.close()
