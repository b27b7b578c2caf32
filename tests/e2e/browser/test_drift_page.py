"""What whoever watches the service sees on the drift panel."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from digits.contract.drift_history import DriftHistory, Watched
from tests.e2e.browser.conftest import Open, Serve

pytestmark = [pytest.mark.browser, pytest.mark.mnist, pytest.mark.timeout(600)]

LOOKS = {
    "desk": {"viewport": {"width": 1280, "height": 800}},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}


def _found(number: int, status: str, accuracy: float | None) -> Watched:
    now = time.time()
    known = accuracy is not None
    return Watched(
        time=now + number, version="digits/3", run_id="a" * 32, name=f"{400 + number} predictions",
        first=now - 60, last=now, images=400 + number, status=status,
        chance=0.3 / (1 + number) if known else None, loudest="shape_distance" if known else None,
        foreign_share=0.1 * number if known else None, before=0.995, accuracy=accuracy,
        low=accuracy - 0.1 if accuracy is not None else None,
        high=min(1.0, accuracy + 0.01) if accuracy is not None else None, labels=number,
    )  # fmt: skip


@pytest.mark.parametrize("look", LOOKS)
def test_the_panel_tells_the_last_verdict_and_all_windows(
    visit: Open, serve: Serve, look: str, shots: Path
) -> None:
    service = serve()
    page = visit(service.address, path="/drift", **LOOKS[look])
    page.wait_for_selector("text=Nothing was looked at yet")
    history = DriftHistory(service.store.name)
    for number, (status, accuracy) in enumerate(
        [("steady", 0.99), ("unknown", None), ("shifted", 0.985), ("harmful", 0.8)]
    ):
        history.add(_found(number, status, accuracy))
    history.close()
    page.reload()
    page.wait_for_selector("#now[data-status=harmful]")
    assert page.locator("#status").text_content() == "Harmful shift"
    assert "80.0 % (70.0 % to 81.0 %)" in str(page.locator("#facts").text_content())
    rows = page.locator("#rows tr")
    assert rows.count() == 4
    assert "Harmful" in str(rows.first.text_content())
    assert page.locator("#chart circle").count() == 3  # one could not be told
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not wide
    page.screenshot(path=shots / f"drift-{look}.png", full_page=True)
    found = Axe().run(page).response["violations"]
    assert not found, [each["id"] for each in found]
