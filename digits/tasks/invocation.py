"""Asking a service that runs: who answers, and what it says of one digit."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.contract.manifest import Manifest
from digits.deployment.asking import reply
from digits.errors import DeploymentError

EXAMPLE = "input_example.json"  # MLflow's, in every bundle
HTTP_ERROR = 400
LOOK_SECONDS = 0.1
SHADES = " .:-=+*#%@"

Pixels = NDArray[np.uint8]


def sample(bundle: Path) -> tuple[Pixels, int | None]:
    """Return a digit that lies in a bundle, uint8 ``[28, 28]``, and its label where it has one."""
    known = Manifest.read(bundle).dry_run
    if known is not None:
        return known.image, known.label
    example = json.loads((bundle / EXAMPLE).read_text(encoding="utf-8"))
    return np.asarray(example["pixels"], np.uint8)[0], None


def drawn(pixels: Pixels) -> str:
    """Return an image uint8 ``[28, 28]`` as text."""
    shades = np.array(list(SHADES))[pixels.astype(int) * (len(SHADES) - 1) // 255]
    return "\n".join("".join(row) for row in np.repeat(shades, 2, axis=1)[::2])


def answering(address: str, wanted: str | None = None, *, wait: float = 0.0) -> str:
    """Return which version answers now; the empty text if it is not ``wanted`` after ``wait`` s.

    Raises:
        DeploymentError: the service does not answer.
    """
    until = time.monotonic() + wait
    while True:
        version = str(ask(f"{address}/v1/model")["version"])
        if wanted in (None, version):
            return version
        if time.monotonic() > until:
            return ""
        time.sleep(LOOK_SECONDS)


def ask(
    url: str, body: bytes | None = None, *, kind: str = "application/octet-stream"
) -> dict[str, Any]:
    """Send a body of this ``kind``, or ask without one; return what is answered in JSON.

    Raises:
        DeploymentError: the service does not answer, or answers with an error.
    """
    found = reply(url, body, kind=kind)
    if found.status >= HTTP_ERROR:
        raise DeploymentError(f"{url} answers {found.status}: {json.dumps(found.content)}")
    return found.content
