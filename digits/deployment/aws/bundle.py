"""The bundle as ``model.tar.gz``: the same bytes for the same model, whoever packs it."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

from digits.contract.manifest import MANIFEST, verify


def packed(folder: Path) -> bytes:
    """Return the verified bundle at ``folder`` as a gzipped tar, its files at the top.

    Times, owners and order are fixed, and everybody may read it: the container's user is not ours.

    Raises:
        RegistryError: the bundle is damaged.
    """
    manifest = verify(folder)
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted([MANIFEST, *manifest.files]):
            content = (folder / name).read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)
