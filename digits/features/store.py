"""The feature store: Feast over Parquet parts and an online store, opened when it is used."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from digits.contract.files import write_atomically
from digits.errors import FeatureError, MissingExtraError
from digits.features.address import Address

if TYPE_CHECKING:  # seconds to import; most tasks need no feature store
    from digits.features.parts import Parts
    from digits.features.views import View

PROJECT = "digits"
APPLIED = "applied"  # sha256 of the definitions that the registry has
MULTIPROCESS = ("PROMETHEUS_MULTIPROCESS_DIR", "PROMETHEUS_MULTIPROC_DIR")


class FeatureStore:
    """What is known of each sample, since when: the `features` config group.

    Args:
        root: folder of the Parquet parts and of Feast's registry.
        online: address of the online store, see :mod:`digits.features.address`.
        as_of: a training learns what was known then: a time of ISO 8601, UTC unless it says
            otherwise; None: now.
        repeat: how often a training meets each served sample where it meets one of the data once:
            a few labels among many thousands would hardly be heard.

    Raises:
        ValueError: the address or the time is none.
    """

    def __init__(
        self,
        *,
        root: str,
        online: str,
        as_of: str | None = None,
        repeat: Annotated[int, Field(ge=1, le=1000)] = 1,
    ) -> None:
        self.root = Path(root).expanduser().absolute()
        try:
            self.online = Address(online)
        except ValueError as error:
            raise ValueError(f"online: {error}") from None
        self.as_of = None if as_of is None else _time(as_of)
        self.repeat = repeat

    @cached_property
    def parts(self) -> Parts:
        """The offline side.

        Raises:
            FeatureError: a view is there with other columns.
        """
        try:
            from digits.features.parts import Parts
        except ModuleNotFoundError as error:
            raise MissingExtraError("features", str(error.name)) from error
        parts = Parts(self.root)
        with parts.locked():
            parts.create()
        return parts

    @cached_property
    def feast(self) -> Any:
        """Feast's own store, with all definitions applied.

        Raises:
            MissingExtraError: Feast is not installed.
            FeatureError: the online store does not answer, or a view has other columns.
        """
        parts = self.parts
        feast = _feast()
        from digits.features.definitions import definitions
        from digits.features.online_times import keep_exact

        with self.online.explained():  # some stores are connected to right here
            config = feast.RepoConfig(
                project=PROJECT,
                provider="local",
                registry={"path": str(self.root / "registry.db"), "cache_ttl_seconds": 60},
                online_store=self.online.settings,
                offline_store={"type": "dask"},
                entity_key_serialization_version=3,
            )
            config.online_store  # noqa: B018 - loads its driver, which has times of its own
            keep_exact()
            store = feast.FeatureStore(config=config)
        wanted = definitions(parts)
        # Applying asks the online store for its tables: once, not in every training.
        said = "".join(map(repr, wanted)) + str(self.online)
        digest = hashlib.sha256(said.encode()).hexdigest()
        marker = self.root / APPLIED
        with parts.locked(), self.online.explained():
            if not marker.exists() or marker.read_text(encoding="ascii") != digest:
                store.apply(wanted)
                write_atomically(marker, digest)
        return store

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """Give Feast's store to speak to the online one; after a fault the next use connects anew.

        Raises:
            FeatureError: the online store does not answer.
        """
        try:
            with self.online.explained():
                yield self.feast
        except FeatureError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection to the online store; the next use opens another."""
        store = self.__dict__.pop("feast", None)
        if store is None:
            return
        # Feast itself closes its asynchronous connections only.
        held = vars(store._get_provider().online_store)
        for connection in (held.get("_conn"), held.get("_client")):
            if connection is not None:
                connection.close()

    def serve(self, name: str, views: Sequence[View], tags: dict[str, str]) -> None:
        """Keep a feature service: which views a model version learned from, as of when.

        Args:
            name: unique.
            views: what it read.
            tags: what else is to be known of it.
        """
        from digits.features.definitions import service

        store = self.feast
        with self.parts.locked():
            store.refresh_registry()
            made = service(name, views, self.parts, tags)
            store.registry.apply_feature_service(made, PROJECT, commit=True)


def _feast() -> Any:
    """Import Feast, and take back what it says to the rest of the process and to its children.

    Importing it turns Prometheus's metrics into those of several processes.
    """
    try:
        import prometheus_client  # noqa: F401 - it looks at the environment once: before Feast

        before = {name: os.environ.get(name) for name in MULTIPROCESS}
        import feast
        import feast.metrics
    except ModuleNotFoundError as error:
        raise MissingExtraError("features", str(error.name)) from error
    logging.getLogger("feast").setLevel(logging.WARNING)  # each look at the registry, at INFO
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    return feast


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        raise ValueError(
            f"as_of must be a time such as 2026-01-31 or 2026-01-31T12:00:00+01:00, not {text}"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
