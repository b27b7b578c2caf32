"""The very data that a digest names, read again or taken from where it was kept."""

from __future__ import annotations

import logging
from pathlib import Path

from digits.data.source import Source
from digits.data.types import Digits
from digits.errors import DataError

log = logging.getLogger(__name__)


class Exact:
    """A source that delivers the data of one digest, or none.

    Args:
        source: what delivered it once.
        digest: sha256 (hex) of its preprocessed content.
    """

    def __init__(self, source: Source, digest: str) -> None:
        self.source = source
        self.digest = digest
        self._data: Digits | None = None

    def load(self) -> Digits:
        """Return what the source delivers, or the kept version of that digest where it differs.

        Raises:
            DataError: the source delivers other data now, or none, and no version was kept.
            TrackingError: the store does not answer.
        """
        if self._data is None:
            self._data = self._load()
        return self._data

    def keep(self, data: Digits, *, commit: str, config_digest: str, config: Path) -> None:
        """See :meth:`~digits.data.source.Source.keep`."""
        self.source.keep(data, commit=commit, config_digest=config_digest, config=config)

    def _load(self) -> Digits:
        try:
            data = self.source.load()
        except DataError as error:
            fault = str(error)
        else:
            if data.digest == self.digest:
                return data
            fault = f"{data.name} delivers data with the digest {data.digest} now"
        try:
            kept = self._kept()
        except DataError as error:
            raise DataError(
                f"data: the data with the digest {self.digest} cannot be had again: {fault}; and "
                f"{error}"
            ) from error
        log.warning("%s: taking the version that was kept of %s.", fault, self.digest)
        return kept

    def _kept(self) -> Digits:
        if self.source.store is None:
            raise DataError("there is no store to look for a kept version in")
        content = self.source.store.fetch(self.source.store.find(self.digest))
        if not isinstance(content, Digits):
            raise DataError(f"{self.digest} is raw data")
        return content
