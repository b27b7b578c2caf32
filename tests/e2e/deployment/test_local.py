"""`deployment=local` does what every target has to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from digits.deployment.local import Local
from digits.deployment.target import Order
from tests.e2e.deployment.conformance import check

pytestmark = [pytest.mark.service, pytest.mark.timeout(200)]


def test_conformance(
    bundles: tuple[Path, Path], order: Callable[..., Order], tmp_path: Path
) -> None:
    def target() -> Local:
        return Local(folder=str(tmp_path / "deployments" / "target"))

    first, second = (order(bundle, number, port=0) for number, bundle in enumerate(bundles, 1))
    try:
        check(target(), first, second, anew=target)
    finally:
        target().destroy()
