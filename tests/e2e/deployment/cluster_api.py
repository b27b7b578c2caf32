"""The HTTP side of a fake cluster: what kubectl asks for, in the forms that it reads."""

from __future__ import annotations

import json
import re
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

if TYPE_CHECKING:
    from tests.e2e.deployment.cluster import FakeCluster

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


class Handler(BaseHTTPRequestHandler):
    cluster: FakeCluster
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.cluster.asked.append(f"GET {path}")
        if path == "/apis":
            self._send(200, _groups(self.cluster.lacks))
            return
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
            found["service"], found["path"], self._body(), self.headers.get("Content-Type", "")
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


def _groups(lacks: set[str]) -> Document:
    found = []
    for version in KINDS:
        if "/" in version and version not in lacks:
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
