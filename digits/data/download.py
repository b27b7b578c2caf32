"""Fetching a published file once: mirrors, resuming, checksum, several processes at a time.

requests, because MLflow needs it anyway: it is there whenever a network is trained, and follows the
proxy and certificate variables of the environment.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from filelock import FileLock
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from digits.data import idx
from digits.errors import DataError, DownloadError

log = logging.getLogger(__name__)

CHUNK = 2**14


class _MirrorError(Exception):
    """Why one mirror did not deliver; ends up as a line of the DownloadError."""


@dataclass(frozen=True)
class _Job:
    session: requests.Session
    part: Path
    sha256: str
    max_bytes: int
    timeout: float
    attempts: int


def fetch(
    name: str,
    urls: Sequence[str],
    sha256: str,
    folder: Path,
    *,
    max_bytes: int = 64 * 2**20,
    timeout: float = 20.0,
    attempts: int = 4,
) -> Path:
    """Return ``folder/name``, downloading it first unless it is there with the right content.

    Bytes go to ``name.part``, which an interrupted download leaves behind and the next one
    continues (HTTP Range). Only a file whose content has been checked gets its final name, in one
    step. A lock file makes a second process wait for the first and use its file.

    Args:
        name: file name in ``folder``.
        urls: the same file on several mirrors, tried in this order.
        sha256: hex digest of the *uncompressed* content.
        folder: the cache, created if need be.
        max_bytes: more than this is not accepted from a server.
        timeout: seconds to connect, and to wait for the next bytes.
        attempts: times to continue a broken transfer from one mirror, as long as it advances.

    Raises:
        DownloadError: no mirror delivered; the message has the reason for each.
        DataError: the cache cannot be written.
    """
    target = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _is_right(target, sha256):
            return target
        with FileLock(folder / f".{name}.lock"), requests.Session() as session:
            if _is_right(target, sha256):
                return target
            part = folder / f"{name}.part"
            _from_any(urls, _Job(session, part, sha256, max_bytes, timeout, attempts), name)
            part.replace(target)
            return target
    except OSError as error:
        raise DataError(
            f"{target} cannot be written ({error.strerror or error}): make room or give another "
            f"folder (data.cache=...)"
        ) from error


def _from_any(urls: Sequence[str], job: _Job, name: str) -> None:
    failures = []
    for url in urls:
        try:
            _from_mirror(url, job)
            return
        except _MirrorError as failure:
            log.warning("%s: %s", url, failure)
            failures.append(f"  {url}: {failure}")
    raise DownloadError(
        "\n".join(
            [
                f"{name} could not be downloaded:",
                *failures,
                "Check the connection and run the same command again (it continues where it "
                "stopped), or download the files yourself and give their folder: "
                "data.root=<folder>",
            ]
        )
    )


def _from_mirror(url: str, job: _Job) -> None:
    """Complete the part file from one mirror and check it; raise _MirrorError otherwise."""
    failure = _MirrorError("no attempt was made")
    for _ in range(job.attempts):
        start = _size(job.part)
        try:
            _transfer(url, job, start)
        except requests.RequestException as error:
            failure = _MirrorError(_reason(error))
            if _size(job.part) > start:
                continue
            raise failure from error
        try:
            found = hashlib.sha256(idx.content(job.part)).hexdigest()
            wrong = f"its content has sha256 {found}, expected {job.sha256}"
        except DataError as error:
            found, wrong = "", str(error).replace(str(job.part), "what it delivered")
        if found == job.sha256:
            return
        job.part.unlink()
        failure = _MirrorError(wrong)
        # What was continued may have begun on another mirror, which packs differently: once more
        # from the start. Wrong from the start stays wrong.
        if start == 0:
            break
    raise failure


def _transfer(url: str, job: _Job, start: int) -> None:
    """Append what is missing to the part file, or begin it anew if the server wants so."""
    log.info("downloading %s%s", url, f" from byte {start:,}" if start else "")
    with _open(url, job, start) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable and start:
            return  # nothing is missing; the checksum decides
        if not response.ok:
            raise _MirrorError(f"it answers {response.status_code} {response.reason}")
        if response.status_code != requests.codes.partial_content:
            start = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            job.part.unlink(missing_ok=True)
            raise _MirrorError("the server sent another range than the one asked for")
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        _check_size(total or 0, job)
        with (
            job.part.open("ab" if start else "wb") as file,
            _progress(job.part.stem, start, total) as progress,
        ):
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                start += len(chunk)
                _check_size(start, job)
                progress.advance(progress.task_ids[0], len(chunk))
            file.flush()
            os.fsync(file.fileno())


def _open(url: str, job: _Job, start: int) -> requests.Response:
    # Unpacked by nobody on the way: byte positions must be those of the file on the server.
    headers = {"Accept-Encoding": "identity", "User-Agent": "digits"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        return job.session.get(url, headers=headers, stream=True, timeout=job.timeout)
    except (OSError, ValueError) as error:
        # OSError, of which requests' own errors are a kind, is also a certificate bundle or proxy
        # that the environment names and that is not there.
        raise _MirrorError(_reason(error)) from error


@contextmanager
def _progress(name: str, done: int, total: int | None) -> Iterator[Progress]:
    """A line with rate and time left on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        progress.add_task(name, completed=done, total=total)
        yield progress


def _check_size(size: int, job: _Job) -> None:
    if size > job.max_bytes:
        job.part.unlink(missing_ok=True)
        raise _MirrorError(f"it sends more than the {job.max_bytes:,} bytes allowed")


def _is_right(path: Path, sha256: str) -> bool:
    if not path.exists():
        return False
    try:
        right = hashlib.sha256(idx.content(path)).hexdigest() == sha256
    except DataError:
        right = False
    if not right:
        log.warning("%s is damaged and will be downloaded again", path)
    return right


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
