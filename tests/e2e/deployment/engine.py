"""The Docker engine of this machine, for tests."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

import pytest

from digits.deployment import images
from digits.deployment.engine import Engine
from digits.errors import DeploymentError


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine of this machine, with the service's image up to date."""
    try:
        found = Engine.find()
    except DeploymentError as error:
        if os.environ.get("DIGITS_REQUIRE_SERVICES"):
            raise
        pytest.skip(str(error))
    if found.image_id(images.tag_of()) is None:
        images.build(found)
    return found


def wait(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until it is true; not to be there yet is not to be true."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(DeploymentError, OSError):
            if condition():
                return
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.1)
