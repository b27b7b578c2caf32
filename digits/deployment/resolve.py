"""From ``version=`` to the pointer: which bundles the service is to answer from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from pydantic import BaseModel, ConfigDict, Field

from digits.contract.manifest import MANIFEST, ONNX, sha256_of
from digits.contract.pointer import Pointed, Pointer, Refused
from digits.errors import RegistryError
from digits.registry.find import Model, find_model
from digits.registry.versions import CHALLENGER, DECISION, PASSED, RegisteredName
from digits.tracking.faults import explained, without_password

CHAMPION = "champion"


class Watch(BaseModel):
    """What to hand to the service, and from where; travels as JSON.

    Attributes:
        pointer: the file that says it to the workers.
        tracking_uri, experiment: the MLflow store with the registry.
        version: alias, number, run id, run folder or bundle folder; an alias is followed.
        name: the registered model.
        cache: folder that bundles are fetched to.
        watch_seconds: between two looks at the registry.
        challenger: whether the version called challenger is handed over too.
        judged: whether only once the gate has let it pass.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pointer: Path
    tracking_uri: str
    experiment: str = "digits"
    version: str = CHAMPION
    name: RegisteredName = "digits"
    cache: Path
    watch_seconds: Annotated[float, Field(gt=0, le=1e6)] = 5.0
    challenger: bool = False
    judged: bool = False

    @classmethod
    def read(cls, file: Path) -> Watch:
        """Read what ``model_dump_json`` gave."""
        return cls.model_validate_json(file.read_bytes())


def aliases_of(client: MlflowClient, name: str) -> Mapping[str, int] | None:
    """Return alias -> number of a registered model; None where there is no such model.

    Raises:
        TrackingError: the registry does not answer.
    """
    with explained(client.tracking_uri):
        try:
            aliases = client.get_registered_model(name).aliases
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
    return {alias: int(number) for alias, number in aliases.items()}


def resolve(
    client: MlflowClient,
    watch: Watch,
    *,
    train: str = "scripts/run",
    promote: str = "scripts/run task=promote",
) -> Pointer:
    """Find, fetch and verify what ``watch`` asks for.

    A challenger that cannot be trusted is left out, and said so in the pointer.

    Args:
        client: of the registry.
        watch: what is asked for.
        train, promote: commands that make a first model, and a first champion.

    Raises:
        RegistryError: there is no such version, or its content is not what was registered.
        TrackingError: the registry does not answer.
    """
    aliases = aliases_of(client, watch.name)
    if watch.version == CHAMPION and CHAMPION not in (aliases or {}):
        first = "" if aliases else f"{train}   # train one\n  "
        store = without_password(client.tracking_uri)
        raise RegistryError(
            f"version: {watch.name} has no champion yet at {store}. Make one:\n"
            f"  {first}{promote}   # let the gate decide"
        )
    aliases = aliases or {}
    model = find_model(client, watch.version, name=watch.name, cache=watch.cache)
    followed = model.version is not None and aliases.get(watch.version) == model.version.number
    champion = pointed(model, watch.name, alias=watch.version if followed else None)
    number = challenging(client, watch, aliases, champion.number)
    if number is None:
        return Pointer(champion=champion)
    try:
        second = numbered(client, watch, number, alias=CHALLENGER)
    except RegistryError as error:
        return Pointer(champion=champion, refused=refused(watch.name, number, error))
    return Pointer(champion=champion, challenger=second)


def challenging(
    client: MlflowClient, watch: Watch, aliases: Mapping[str, int], champion: int | None
) -> int | None:
    """Return the number of the version to hand over beside the champion; None: there is none.

    Raises:
        TrackingError: the registry does not answer.
    """
    number = aliases.get(CHALLENGER) if watch.challenger else None
    if number in (None, champion):
        return None
    if watch.judged:
        with explained(client.tracking_uri):
            tags = client.get_model_version(watch.name, str(number)).tags
        if tags.get(DECISION) != PASSED:
            return None
    return number


def numbered(client: MlflowClient, watch: Watch, number: int | None, *, alias: str) -> Pointed:
    """Fetch and verify the version that has ``alias`` now.

    Raises:
        RegistryError, TrackingError: see :func:`resolve`.
    """
    model = find_model(client, str(number), name=watch.name, cache=watch.cache)
    return pointed(model, watch.name, alias=alias)


def pointed(model: Model, name: str, *, alias: str | None) -> Pointed:
    """Return what the pointer says of a model.

    Raises:
        RegistryError: it has no network in ONNX.
    """
    network = model.manifest.files.get(ONNX)
    if network is None:
        raise RegistryError(
            f"{model.folder} has no {ONNX}, and nothing else is served: train the model anew with "
            f"this version of Digits"
        )
    return Pointed(
        name=name,
        number=model.version.number if model.version else None,
        folder=model.folder.absolute(),
        onnx_sha256=network,
        manifest_sha256=sha256_of(model.folder / MANIFEST),
        alias=alias,
    )


def refused(name: str, number: int | None, error: RegistryError) -> Refused:
    """Return what the pointer says of a version that cannot be trusted."""
    return Refused(version=f"{name}/{number}", reason=str(error), time=datetime.now(UTC))
