"""`deployment=kserve`: a version in a Kubernetes cluster, with KServe or plain."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from digits.deployment.asking import reply
from digits.deployment.checks import check_bundle
from digits.deployment.kubernetes import release
from digits.deployment.kubernetes.cluster import Cluster, UnreachableError
from digits.deployment.kubernetes.manifests import VERSION, Mode, render
from digits.deployment.kubernetes.pod import Document, Shape
from digits.deployment.ledger import Release
from digits.deployment.target import Order, Reply, Status, Step, Target
from digits.errors import ConfigError, DeploymentError, Finding

PREDICT = "/v1/predict"

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
        except UnreachableError:
            told = "in an empty cluster; none answers now"
            return [Step("create", release.what(each), told) for each in documents]
        return release.steps(cluster, documents, self.ledger)

    def apply(self, order: Order) -> list[Step]:
        """Apply the manifests, and wait until pods with the version are ready.

        Raises:
            ConfigError: a version without a number cannot be pulled.
            DeploymentError: the bundle has no ONNX; what is out is in another namespace or
                context; no cluster answers, and then the manifests lie in the folder; it refuses,
                something of that name is not ours, or the pods do not get ready: what was there
                before is applied again, and what else was made is removed.
        """
        check_bundle(order.model.folder)
        with self.claimed():
            documents = self._render(order)
            file = release.write(self.folder, documents, order.model.version, self.ledger)
            try:
                cluster = self._cluster()
            except UnreachableError as error:
                raise DeploymentError(f"{error}\nThe manifests are in {file}") from error
            found = release.steps(cluster, documents, self.ledger)
            out = self.ledger.current
            # Not known to be out: an attempt before was cut short while it waited.
            is_out = out is not None and out.facts[release.FILE] == file.name
            if not is_out or any(each.change != "keep" for each in found):
                before = self.folder / out.facts[release.FILE] if out else None
                made, wait = self.ledger, self._wait
                release.put_out(cluster, file, before=before, ledger=made, seconds=wait)
            self._note(Release(model=order.model, facts={release.FILE: file.name}))
            release.tidy(self.folder, self.ledger)
        return found

    def status(self) -> Status:
        """Ask the cluster which version is out, and how many pods are ready."""
        out, main, cluster = self._out(), self._main(), self._cluster()
        found = cluster.find(release.resource_of(main))
        if found is None:
            raise DeploymentError(f"{release.what(main)} is gone from the cluster; apply again")
        state, name = found.get("status", {}), main["metadata"]["name"]
        address = self._address or state.get("url") or f"http://{name}.{cluster.namespace}.svc"
        previous = self.ledger.previous
        canary = found["spec"].get("predictor", {}).get("canaryTrafficPercent")
        rows = (
            ("ready", release.readiness(main, state)),
            *([("canary", f"{canary}% of the traffic")] if canary is not None else []),
            ("before", previous.model.version if previous else "none"),
            ("namespace", cluster.namespace),
            ("manifests", str(self.folder / out.facts[release.FILE])),
        )
        return Status(found["metadata"]["annotations"][VERSION], address, rows)

    def ask(self, body: bytes, content_type: str) -> Reply:
        """Send one request, to ``address`` or through the cluster's API."""
        main = self._main()
        if self._address:
            return reply(f"{self._address.rstrip('/')}{PREDICT}", body, kind=content_type)
        end = "-predictor:80" if main["kind"] == release.MAIN[0] else ":80"
        with self._cluster().reaching(main["metadata"]["name"] + end, PREDICT) as address:
            return reply(address, body, kind=content_type)

    def rollback(self) -> list[Step]:
        """Apply the manifests of the version before once more, as :meth:`apply` does it."""
        with self.claimed():
            out, ledger = self._out(), self.ledger
            before = ledger.previous
            if before is None:
                raise DeploymentError(f"{self.folder}: no version was out before this one")
            cluster = self._cluster()
            now, file = (self.folder / each.facts[release.FILE] for each in (out, before))
            found = release.steps(cluster, release.load(file), ledger)
            release.put_out(cluster, file, before=now, ledger=ledger, seconds=self._wait)
            ledger.rolled_back()
        told = f"{before.model.version} instead of {out.model.version}"
        return [Step("change", "model", told), *found]

    def destroy(self) -> list[Step]:
        """Remove all that the ledger lists, where it is, and the folder."""
        with self.claimed():
            ledger = self.ledger
            made = ledger.resources[::-1]
            for each in made:
                if each.kind != release.FILE:
                    release.remove(each, self._wait)
                ledger.gone(each)
            if ledger or made:
                ledger.forget()
        return [Step("remove", f"{each.kind} {each.name}") for each in made]

    def _render(self, order: Order) -> list[Document]:
        if self._shape.models and order.model.number is None:
            _refuse("models", f"{order.model.version} is not registered: no pod can pull it")
        documents = render(self._mode, self._shape, order)
        release.sign(documents, self.ledger)
        return documents

    def _cluster(self) -> Cluster:
        cluster = Cluster(self._shape.namespace, self._context)
        release.check_place(cluster, self.ledger)
        cluster.check()
        return cluster

    def _note(self, put: Release) -> None:
        """Write down what is out; the same version in other numbers is none to go back to."""
        ledger, known = self.ledger, self.ledger.current
        if known is not None and _named(known) == _named(put):
            ledger.rolled_back()  # so that the one before it stays the one before
        ledger.released(put)

    def _out(self) -> Release:
        out = self.ledger.current
        if out is None:
            raise DeploymentError(f"Nothing is deployed in {self.folder}: action=apply does it")
        return out

    def _main(self) -> Document:
        return release.main_of(release.load(self.folder / self._out().facts[release.FILE]))


def _named(put: Release) -> tuple[str, str]:
    return put.model.version, put.model.onnx_sha256


def _refuse(key: str, message: str) -> None:
    raise ConfigError([Finding(f"deployment.{key}", message)])
