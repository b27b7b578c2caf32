"""What of a Kubernetes API kubectl speaks with here, at a port of this machine.

It keeps what it is given, and runs the pods of a Deployment or an InferenceService: one process of
the service, with the environment that the manifest gives to its container. It checks nothing:
that manifests are right is held against the schemas elsewhere.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from serving.listening import listen
from tests.e2e.serving import until

Document = dict[str, Any]

#: group and version -> kinds; all of them lie in namespaces, but for the namespaces themselves
KINDS = {
    "v1": ("Namespace", "ServiceAccount", "Service"),
    "apps/v1": ("Deployment",),
    "autoscaling/v2": ("HorizontalPodAutoscaler",),
    "policy/v1": ("PodDisruptionBudget",),
    "networking.k8s.io/v1": ("NetworkPolicy",),
    "serving.kserve.io/v1beta1": ("InferenceService",),
}
ROUTE = re.compile(
    r"/apis?/(?P<version>.+?)/namespaces/(?P<place>[^/]+)/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?"
)
PROXY = re.compile(r"/api/v1/namespaces/[^/]+/services/(?P<service>[^/:]+):80/proxy(?P<path>/.*)")


def plural(kind: str) -> str:
    """Return the name of a kind in addresses."""
    return kind.lower()[:-1] + "ies" if kind.endswith("y") else kind.lower() + "s"


class FakeCluster:
    """A cluster of one namespace, ``default``.

    Args:
        folder: for kubeconfig and the logs of pods.
        bundles: digest of the network -> bundle: what an image or a registry would hold.

    Attributes:
        documents: (kind, name) -> what was applied.
        refuse: kind -> message: such a document is refused.
        ready: whether pods that are started get ready.
    """

    def __init__(self, folder: Path, bundles: Mapping[str, Path]) -> None:
        self.documents: dict[tuple[str, str], Document] = {}
        self.refuse: dict[str, str] = {}
        self.ready = True
        self.asked: list[str] = []
        self._folder = folder
        self._bundles = bundles
        self._pod: subprocess.Popen[bytes] | None = None
        self._address = ""
        cluster = self

        class Handler(_Handler):
            pass

        Handler.cluster = cluster
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
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
        self._end_pod()
        self._server.shutdown()
        self._server.server_close()

    def put(self, document: Document) -> Document:
        """Keep a document, and run what it describes."""
        kind, name = document["kind"], document["metadata"]["name"]
        document["metadata"]["uid"] = f"{kind}-{name}"
        self.documents[kind, name] = document
        if kind == "Deployment":
            self._run(document["spec"]["template"]["spec"]["containers"][0])
            replicas = {"replicas": 2, "updatedReplicas": 2, "observedGeneration": 1}
            ready = {"readyReplicas": 2, "availableReplicas": 2} if self.ready else {}
            document["metadata"]["generation"] = 1
            document["spec"]["replicas"] = 2
            document["status"] = {**replicas, **ready}
        if kind == "InferenceService":
            self._run(document["spec"]["predictor"]["containers"][0])
            state = "True" if self.ready else "False"
            document["status"] = {"conditions": [{"type": "Ready", "status": state}]}
        return document

    def remove(self, kind: str, name: str) -> Document | None:
        """Forget a document, and end what it described."""
        if kind in ("Deployment", "InferenceService"):
            self._end_pod()
        return self.documents.pop((kind, name), None)

    def forward(self, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
        """Ask the pod."""
        request = urllib.request.Request(self._address + path, body, {"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def _run(self, container: Document) -> None:
        self._end_pod()
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
            self._pod = subprocess.Popen(
                [sys.executable, "-P", "-m", "serving.container"],
                env={**os.environ, **given, **own},
                stdout=log,
                stderr=log,
            )
        self._address = f"http://127.0.0.1:{port}"
        path = container["readinessProbe"]["httpGet"]["path"]
        until(lambda: self._answers(path), 60)

    def _answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(self._address + path, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def _end_pod(self) -> None:
        if self._pod is not None:
            self._pod.send_signal(signal.SIGTERM)
            self._pod.wait(30)
            self._pod = None


class _Handler(BaseHTTPRequestHandler):
    cluster: FakeCluster
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.cluster.asked.append(f"GET {path}")
        if path in DISCOVERY:
            self._send(200, DISCOVERY[path])
            return
        if path == "/api/v1/namespaces/default":
            self._send(
                200, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
            )
            return
        kind, name = self._resource(path)
        if "watch=true" in self.path:
            self._watched(kind)
            return
        if kind and not name:  # a list, by name: what `rollout status` and `wait` look at
            items = [each for (one, _), each in self.cluster.documents.items() if one == kind]
            version = items[0]["apiVersion"] if items else "v1"
            metadata = {"resourceVersion": "1"}
            self._send(
                200,
                {
                    "apiVersion": version,
                    "kind": f"{kind}List",
                    "metadata": metadata,
                    "items": items,
                },
            )
            return
        self._found(self.cluster.documents.get((kind, name)))

    def _watched(self, kind: str) -> None:
        """Tell once of what is there, and be silent until the client looks anew."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        for (one, _), document in list(self.cluster.documents.items()):
            if one == kind:
                event = {"type": "MODIFIED", "object": document}
                self.wfile.write(json.dumps(event).encode() + b"\n")
        self.wfile.flush()
        time.sleep(1)
        self.close_connection = True

    def do_PATCH(self) -> None:
        document = yaml.safe_load(self._body())
        self.cluster.asked.append(f"PATCH {self.path}")
        if document["kind"] in self.cluster.refuse:
            self._send(403, _status(403, "Forbidden", self.cluster.refuse[document["kind"]]))
            return
        self._send(200, self.cluster.put(document))

    def do_DELETE(self) -> None:
        self._body()
        kind, name = self._resource(urlsplit(self.path).path)
        self._found(self.cluster.remove(kind, name))

    def do_POST(self) -> None:
        found = PROXY.fullmatch(urlsplit(self.path).path)
        assert found is not None, self.path
        self.cluster.asked.append(f"POST {found['service']}")
        status, body = self.cluster.forward(
            found["path"], self._body(), self.headers.get("Content-Type", "")
        )
        self._write(status, body)

    def _resource(self, path: str) -> tuple[str, str]:
        found = ROUTE.fullmatch(path)
        if found is None:
            return "", ""
        for kind in KINDS.get(found["version"], ()):
            if plural(kind) == found["plural"]:
                return kind, found["name"] or ""
        return "", ""

    def _found(self, document: Document | None) -> None:
        if document is None:
            self._send(404, _status(404, "NotFound", "not found"))
        else:
            self._send(200, document)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(self, status: int, content: Document) -> None:
        self._write(status, json.dumps(content).encode())

    def _write(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""


def _status(code: int, reason: str, message: str) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }


def _resources(version: str) -> Document:
    resources = [
        {
            "name": plural(kind),
            "singularName": kind.lower(),
            "namespaced": kind != "Namespace",
            "kind": kind,
            "verbs": ["get", "list", "watch", "patch", "delete"],
        }
        for kind in KINDS[version]
    ]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}


def _groups() -> Document:
    found = []
    for version in KINDS:
        if "/" in version:
            one = {"groupVersion": version, "version": version.partition("/")[2]}
            found.append(
                {"name": version.partition("/")[0], "versions": [one], "preferredVersion": one}
            )
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}


def _path(version: str) -> str:
    return f"{'apis' if '/' in version else 'api'}/{version}"


def _openapi(version: str) -> Document:
    """Say that a document of each kind is validated where it is sent to."""
    group, _, own = version.rpartition("/")
    paths = {}
    for kind in KINDS[version]:
        paths[f"/{_path(version)}/{plural(kind)}"] = {
            "patch": {
                "x-kubernetes-group-version-kind": {"group": group, "version": own, "kind": kind},
                "parameters": [{"name": "fieldValidation", "in": "query"}],
                "responses": {},
            }
        }
    return {"openapi": "3.0.0", "info": {"title": "fake", "version": "1"}, "paths": paths}


DISCOVERY: dict[str, Document] = {
    "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": _groups(),
    "/api/v1": _resources("v1"),
    **{f"/apis/{version}": _resources(version) for version in KINDS if "/" in version},
    "/openapi/v3": {
        "paths": {
            _path(version): {"serverRelativeURL": f"/openapi/v3/{_path(version)}"}
            for version in KINDS
        }
    },
    **{f"/openapi/v3/{_path(version)}": _openapi(version) for version in KINDS},
}


@contextmanager
def fake_cluster(folder: Path, bundles: Mapping[str, Path]) -> Iterator[FakeCluster]:
    """Run one for a while."""
    cluster = FakeCluster(folder, bundles)
    try:
        yield cluster
    finally:
        cluster.close()
