"""What every source of digits is: read afresh, or taken from a stored version."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from digits.data.raw import Raw
from digits.data.types import Digits
from digits.data.version import hold_name
from digits.errors import DataError

if TYPE_CHECKING:  # the store's libraries take seconds to import; most data needs no store
    from digits.data.version import Version
    from digits.data.versions import Versions

log = logging.getLogger(__name__)


class Source(ABC):
    """Where digits come from: the `data` config group.

    Args:
        version: a stored version to take instead of reading: its digest, the beginning of it, or
            ``raw:latest``, ``preprocessed:latest``, ``augmented:latest``; None reads.
        store: where versions are; touched only when one is named.

    Raises:
        ValueError: what names no version, or a version without a store.
    """

    name: ClassVar[str]
    #: arguments that decide what preprocessing makes of the raw data
    settings: ClassVar[tuple[str, ...]]

    def __init__(self, *, version: str | int | None = None, store: Versions | None = None) -> None:
        if version is not None and store is None:
            raise ValueError("version is of no use without a store to take it from")
        if version is not None:
            hold_name(str(version))
        self.version = None if version is None else str(version)
        self.store = store
        self._taken: Version | None = None

    def load(self) -> Digits:
        """Return the digits in their three splits.

        Of a raw version they are made as they would be of what is read; a preprocessed or
        augmented one holds them as they are.

        Raises:
            DataError: what is read, or the version, is unknown, damaged or of another kind.
            TrackingError: the store does not answer.
        """
        if self.version is None:
            return self.read()
        content = self.stored(self.version)[1]
        return self.preprocess(content) if isinstance(content, Raw) else content

    def stored(self, wanted: str) -> tuple[Version, Raw | Digits]:
        """Return a version of this source with its content.

        Raises:
            DataError: there is none, it is of another source, or it is damaged.
            TrackingError: the store does not answer.
        """
        assert self.store is not None
        version = self.store.find(wanted, name=self.name)
        if version.name != self.name:
            raise DataError(
                f"data.version: {version} is a version of {version.name}, not of {self.name}: "
                f"choose data={version.name}"
            )
        log.info("Taking %s data of %s from version %s.", version.stage, self.name, version.digest)
        content = self.store.fetch(version)
        if not isinstance(content, Raw):
            self._say_what_does_not_count(version)
        self._taken = version
        return version, content

    def keep(self, data: Digits, *, commit: str, config_digest: str, config: Path) -> None:
        """Keep what :meth:`load` gave as a preprocessed version, unless it is kept already.

        Args:
            data: what it gave.
            commit, config_digest: see :class:`~digits.data.version.Made`.
            config: the canonical configuration, to be kept with it.

        Raises:
            DataError: too large for a version, or there is no store.
            TrackingError: the store does not answer, or cannot be written.
        """
        from digits.data.version import Made  # with the store, not with every source

        if self.store is None:
            raise DataError("keep_data: data.store is null, there is nowhere to keep the data")
        if self.store.holds(data.digest):
            return
        parent = None if self._taken is None else self._taken.digest
        made = Made.now(commit=commit, config_digest=config_digest, parent=parent)
        self.store.put(data, "preprocessed", made, settings=self.settings_now(), config=config)

    def settings_now(self) -> dict[str, Any]:
        """Return the arguments that decide what preprocessing makes of the raw data."""
        return {name: getattr(self, name) for name in self.settings}

    @abstractmethod
    def read(self) -> Digits:
        """Read the data where it comes from, preprocess it and split it."""

    @abstractmethod
    def raw(self) -> Raw:
        """Read the data where it comes from, and leave it as it is."""

    @abstractmethod
    def preprocess(self, raw: Raw) -> Digits:
        """Make of raw data what :meth:`read` makes of it.

        Raises:
            DataError: it is not data of this source.
        """

    def _say_what_does_not_count(self, version: Version) -> None:
        for name, value in self.settings_now().items():
            if name in version.settings and version.settings[name] != value:
                log.warning(
                    "data.%s=%s does not count: version %s was made with %s.",
                    name,
                    value,
                    version,
                    version.settings[name],
                )
