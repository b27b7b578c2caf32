"""`deployment=kserve`: a version in a Kubernetes cluster, with KServe or plain."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from digits.contract.files import write_atomically
from digits.deployment.asking import reply
from digits.deployment.checks import check_bundle, check_folder
from digits.deployment.kubernetes.cluster import Cluster
from digits.deployment.kubernetes.manifests import VERSION, Mode, dump, render
from digits.deployment.kubernetes.pod import Document, Shape
from digits.deployment.kubernetes.release import FILE, MAIN, put_out, readiness, remove, steps, what
from digits.deployment.ledger import Release, Resource
from digits.deployment.target import Order, Reply, Status, Step, Target
from digits.errors import ConfigError, DeploymentError, Finding

Name = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$")]
Percent = Annotated[int, Field(ge=0, le=100)]
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|Ki|Mi|Gi)?$")]
Pods = Annotated[int, Field(ge=1, le=1000)]


class Kubernetes(Target):
    """A namespace of a cluster, which kubectl reaches with the user's own credentials.

    Args:
        folder: what is kept here: the ledger, and the manifests as they were applied.
        mode: kserve (an InferenceService) or plain (a Deployment with all that belongs to it).
        image: as the cluster pulls it; ``{number}`` stands for the version's number.
        models: MLflow server that pods pull the version from; null: the model is in the image.
        name: of what is made.
        namespace: that it is made in; it has to be there.
        context: of the user's kubeconfig; null: the present one.
        secret: Secret whose entries are the pods' environment; null: none.
        pull_secret: Secret that opens the image's registry; null: it is open.
        min_replicas, max_replicas: of pods.
        cpu, memory: that a pod asks for; of memory it gets no more.
        canary_percent: share that a new version gets at first (kserve); null: all.
        clients: further namespaces whose pods may ask (plain).
        address: where the service is reached from here; null: through the cluster's API.
        wait_seconds: for pods to be ready.
    """

    kind: ClassVar[str] = "kserve"

    def __init__(
        self,
        *,
        folder: str,
        mode: Mode,
        image: str,
        models: Annotated[str, Field(pattern=r"^https?://[^/@\s]+")] | None = None,
        name: Name = "digits",
        namespace: Name = "default",
        context: str | None = None,
        secret: Name | None = None,
        pull_secret: Name | None = None,
        min_replicas: Pods = 2,
        max_replicas: Pods = 6,
        cpu: Quantity = "250m",
        memory: Quantity = "512Mi",
        canary_percent: Percent | None = None,
        clients: tuple[Name, ...] = (),
        address: Annotated[str, Field(pattern=r"^https?://[^/@\s]+")] | None = None,
        wait_seconds: Annotated[float, Field(gt=0, le=3600)] = 300.0,
    ) -> None:
        super().__init__(folder=folder)
        if max_replicas < min_replicas:
            _refuse("max_replicas", f"is less than min_replicas, which is {min_replicas}")
        if canary_percent is not None and mode == "plain":
            _refuse("canary_percent", "needs deployment.mode=kserve: plain manifests share nothing")
        self._mode: Mode = mode
        self._context = context
        self._address = address
        self._wait = wait_seconds
        self._shape = Shape(
            name=name,
            namespace=namespace,
            image=image,
            models=models,
            secret=secret,
            pull_secret=pull_secret,
            replicas=(min_replicas, max_replicas),
            cpu=cpu,
            memory=memory,
            canary_percent=canary_percent,
            clients=tuple(clients),
        )

    def plan(self, order: Order) -> list[Step]:
        """Say what :meth:`apply` would do; without a cluster, what it would do in an empty one."""
        documents = self._render(order)
        try:
            cluster = self._cluster()
        except DeploymentError:
            told = "in an empty cluster; none answers now"
            return [Step("create", what(each), told) for each in documents]
        return steps(cluster, documents, self.ledger)

    def apply(self, order: Order) -> list[Step]:
        """Apply the manifests, and wait until pods with the version are ready.

        Raises:
            ConfigError: a version without a number cannot be pulled.
            DeploymentError: the bundle has no ONNX; no cluster answers, and then the manifests lie
                in the folder; it refuses, something of that name is not ours, or the pods do not
                get ready: what was there before is applied again, and without it what was made is
                removed.
        """
        check_bundle(order.model.folder)
        documents = self._render(order)
        with self.claimed():
            file = self._write(documents, order)
            try:
                cluster = self._cluster()
            except DeploymentError as error:
                raise DeploymentError(f"{error}\nThe manifests are in {file}") from error
            found = steps(cluster, documents, self.ledger)
            out = self.ledger.current
            # Not known to be out: an attempt before was cut short while it waited.
            is_out = out is not None and out.facts[FILE] == file.name
            if not is_out or any(each.change != "keep" for each in found):
                before = self.folder / out.facts[FILE] if out else None
                made, wait = self.ledger, self._wait
                put_out(cluster, documents, file=file, before=before, ledger=made, seconds=wait)
            self._note(Release(model=order.model, facts={FILE: file.name}))
            self._tidy()
        return found

    def status(self) -> Status:
        """Ask the cluster which version is out, and how many pods are ready."""
        out = self._out()
        cluster, main = self._cluster(), self._main()
        found = cluster.find(main.facts["resource"])
        if found is None:
            raise DeploymentError(f"{main.kind} {main.name} is gone from the cluster; apply again")
        state = found.get("status", {})
        address = self._address or state.get("url") or f"http://{main.name}.{cluster.namespace}.svc"
        previous = self.ledger.previous
        canary = found["spec"].get("predictor", {}).get("canaryTrafficPercent")
        rows = (
            ("ready", readiness(main, state)),
            *([("canary", f"{canary}% of the traffic")] if canary is not None else []),
            ("before", previous.model.version if previous else "none"),
            ("namespace", cluster.namespace),
            ("manifests", str(self.folder / out.facts[FILE])),
        )
        return Status(found["metadata"]["annotations"][VERSION], address, rows)

    def ask(self, body: bytes, content_type: str) -> Reply:
        """Send one request, to ``address`` or through the cluster's API."""
        self._out()
        if self._address:
            return reply(f"{self._address.rstrip('/')}/v1/predict", body, kind=content_type)
        service = self._main().name + ("-predictor" if self._main().kind == MAIN[0] else "")
        with self._cluster().reaching(f"{service}:80") as address:
            return reply(f"{address}/v1/predict", body, kind=content_type)

    def rollback(self) -> list[Step]:
        """Apply the manifests of the version before once more."""
        with self.claimed():
            out, ledger = self._out(), self.ledger
            before = ledger.previous
            if before is None:
                raise DeploymentError(f"{self.folder}: no version was out before this one")
            cluster, main = self._cluster(), self._main()
            cluster.apply((self.folder / before.facts[FILE]).read_text(encoding="utf-8"))
            cluster.wait(main.facts["resource"], self._wait)
            ledger.rolled_back()
        told = f"{before.model.version} instead of {out.model.version}"
        return [Step("change", f"{main.kind} {main.name}", told)]

    def destroy(self) -> list[Step]:
        """Remove all that the ledger lists from the cluster, and the folder."""
        with self.claimed():
            ledger = self.ledger
            made = ledger.resources[::-1]
            for each in made:
                if each.kind != FILE:
                    remove(each, self._wait)
                ledger.gone(each)
            if ledger or made:
                ledger.forget()
        return [Step("remove", f"{each.kind} {each.name}") for each in made]

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other commands away, and a folder that is none of ours as it is."""
        with super().claimed():
            check_folder(self.folder)
            yield

    def _render(self, order: Order) -> list[Document]:
        if self._shape.models and order.model.number is None:
            _refuse("models", f"{order.model.version} is not registered: no pod can pull it")
        return render(self._mode, self._shape, order)

    def _cluster(self) -> Cluster:
        cluster = Cluster(self._shape.namespace, self._context)
        cluster.check()
        return cluster

    def _write(self, documents: list[Document], order: Order) -> Path:
        content = dump(documents)
        digest = hashlib.sha256(content.encode()).hexdigest()
        name = f"{order.model.version.replace('/', '-')}-{digest[:12]}.yaml"
        self.ledger.making(FILE, name)
        write_atomically(self.folder / name, content)
        return self.folder / name

    def _note(self, release: Release) -> None:
        """Write down what is out; the same version in other numbers is none to go back to."""
        ledger, known = self.ledger, self.ledger.current
        if known is not None and _named(known) == _named(release):
            ledger.rolled_back()  # so that the one before it stays the one before
        ledger.released(release)

    def _tidy(self) -> None:
        """Remove the manifests of versions that are neither out nor to go back to."""
        ledger = self.ledger
        kept = {each.facts[FILE] for each in (ledger.current, ledger.previous) if each}
        for resource in [each for each in ledger.resources if each.kind == FILE]:
            if resource.name not in kept:
                (self.folder / resource.name).unlink(missing_ok=True)
                ledger.gone(resource)

    def _out(self) -> Release:
        out = self.ledger.current
        if out is None:
            raise DeploymentError(f"Nothing is deployed in {self.folder}: action=apply does it")
        return out

    def _main(self) -> Resource:
        (main,) = (each for each in self.ledger.resources if each.kind in MAIN)
        return main


def _named(release: Release) -> tuple[str, str]:
    return release.model.version, release.model.onnx_sha256


def _refuse(key: str, message: str) -> None:
    raise ConfigError([Finding(f"deployment.{key}", message)])
