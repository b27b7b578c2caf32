"""What a person does on the page: writes, reads, corrects."""

from __future__ import annotations

import re
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Request

from tests.e2e.browser.conftest import Open, Service
from tests.e2e.browser.hand import SCRIBBLE, settle, write

pytestmark = [pytest.mark.browser, pytest.mark.mnist, pytest.mark.timeout(600)]


def _spoken(page: Page, digit: int) -> str:
    """What a screen reader says of the digit's bar."""
    (line,) = page.locator(".bar").nth(digit).aria_snapshot().splitlines()
    return line


@pytest.mark.parametrize("digit", [3, 7, 0])
def test_a_drawn_digit_is_read(visit: Open, service: Service, digit: int) -> None:
    page = visit(service.address)
    write(page, digit)
    assert settle(page) == digit
    assert page.locator("#announce").text_content() == " ".join(
        [f"{page.locator('#said').text_content()}.", str(page.locator("#sure").text_content())]
    )
    assert page.locator(".bar.best .label").text_content() == str(digit)
    assert re.search(rf'button "{digit} (> )?[0-9.]+ %"', _spoken(page, digit))
    assert re.search(r'button "9 ([0-9.]+|0) %"', _spoken(page, 9))
    seen = "document.getElementById('seen').getContext('2d').getImageData(0, 0, 28, 28).data"
    assert page.evaluate(f"[...{seen}].filter((v, i) => i % 4 === 3 && v > 128).length") > 30


def test_readings_while_drawing_come_one_by_one_and_only_the_last_is_kept(
    visit: Open, service: Service
) -> None:
    page = visit(service.address)
    asked: list[Request] = []
    at_work, most = [0], [0]

    def begin(request: Request) -> None:
        if "/v1/predict" in request.url:
            asked.append(request)
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])

    def end(request: Request) -> None:
        at_work[0] -= "/v1/predict" in request.url

    page.on("request", begin)
    page.on("requestfinished", end)
    write(page, 4)  # two strokes, one sheet
    assert settle(page) == 4
    kept = [parse_qs(urlsplit(each.url).query).get("store") for each in asked]
    assert kept[-1] is None and set(map(str, kept[:-1])) == {"['false']"}
    assert len(asked) > 2 and most == [1]
    (key,) = {each.headers["x-digits-key"] for each in asked}
    page.wait_for_timeout(300)
    rows = [row.prediction for row in service.store.recent(50) if row.prediction.key == key]
    assert [row.digit for row in rows] == [4]
    page.keyboard.press("Escape")
    write(page, 7)
    assert settle(page) == 7
    assert asked[-1].headers["x-digits-key"] != key


def test_a_correction_is_kept_before_the_page_says_so(visit: Open, service: Service) -> None:
    page = visit(service.address)
    assert "is kept" in str(page.locator("#about-kept").text_content())
    write(page, 7)
    with page.expect_response(lambda r: "/v1/predict" in r.url and "store" not in r.url) as said:
        settle(page)
    prediction = said.value.json()["id"]
    page.get_by_role("button", name="This is not a 7").click()
    page.get_by_role("group", name="It is a").get_by_role("button", name="1").click()
    page.wait_for_selector("#thanks:has-text('✓')")
    kept = [each for some in service.store.corrections() for each in some]
    (correction,) = [each for each in kept if each.prediction == prediction]
    assert (correction.label, correction.origin) == (1, "page")


def test_a_scribble_is_met_with_doubt(visit: Open, service: Service) -> None:
    page = visit(service.address)
    write(page, SCRIBBLE)
    assert settle(page) is None
    assert page.locator("#said").text_content() == "Not sure this is a digit"
    assert page.locator("#sure").text_content().startswith("The closest would be a")
    page.get_by_role("button", name="It is a digit").click()
    page.keyboard.press("8")
    page.wait_for_selector("#thanks:has-text('✓ Stored: this is an 8.')")


def test_undo_brings_back_what_was_cleared(visit: Open, service: Service) -> None:
    page = visit(service.address)
    write(page, 3)
    assert settle(page) == 3
    page.keyboard.press("Delete")
    assert page.locator("#verdict").get_attribute("data-state") == "empty"
    assert page.locator("#paper-state").text_content() == "The paper is empty."
    page.keyboard.press("Control+z")
    started = time.monotonic()
    page.wait_for_selector("#verdict[data-state=answered]")
    assert time.monotonic() - started < 5
    assert page.locator("#digit").text_content() == "3"
