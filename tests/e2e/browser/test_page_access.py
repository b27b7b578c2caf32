"""The page for everybody: by keyboard, by finger, in the dark, with weak eyes."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.e2e.browser.conftest import Open, Service
from tests.e2e.browser.hand import settle, touch, write

pytestmark = [pytest.mark.browser, pytest.mark.mnist, pytest.mark.timeout(600)]

PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True, "is_mobile": True, "device_scale_factor": 2,
}  # fmt: skip
DESK = {"viewport": {"width": 1280, "height": 800}}

#: whether the focused element shows that it is
MARKED = """() => {
  const element = document.activeElement;
  const shown = element.type === "radio" ? element.nextElementSibling : element;
  return element.matches(":focus-visible") && getComputedStyle(shown).outlineStyle !== "none";
}"""


def _faults(page: Page) -> str:
    """Return what axe-core finds, WCAG 2.2 AA and good practice; empty: nothing."""
    found = Axe().run(page)
    return found.generate_report() if found.violations_count else ""


def _tab_to(page: Page, selector: str) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        assert page.evaluate(MARKED), page.evaluate("document.activeElement.outerHTML")
        if page.evaluate(f"document.activeElement.matches({selector!r})"):
            return
    raise AssertionError(f"Tab does not reach {selector}")


def _press(page: Page, keys: str) -> None:
    for key in keys.split():
        page.keyboard.press({"l": "ArrowLeft", "r": "ArrowRight", "u": "ArrowUp",
                             "d": "ArrowDown", "L": "Shift+ArrowLeft", "R": "Shift+ArrowRight",
                             "U": "Shift+ArrowUp"}.get(key, key))  # fmt: skip


def test_the_keyboard_alone_does_everything(visit: Open, service: Service) -> None:
    page = visit(service.address, **DESK)
    _tab_to(page, "#paper")
    _press(page, "L L U U u u Space R R R R " + "d d d l " * 8 + "Space")
    assert page.locator("#paper-state").text_content() == "The paper holds 1 stroke."
    assert settle(page) == 7
    _tab_to(page, "#pen")
    _press(page, "r r")
    _tab_to(page, "#choose")
    _tab_to(page, "#wrong")
    _press(page, "Enter")
    assert page.evaluate("document.activeElement.parentElement.id") == "correction"
    _press(page, "Escape")
    assert page.locator("#correction").is_hidden()
    assert page.locator("#digit").text_content() == "7"  # Escape did not clear the paper
    _press(page, "Enter 2")
    page.wait_for_selector("#thanks:has-text('✓ Stored: this is a 2.')")
    _tab_to(page, ".bar:nth-child(3)")
    _press(page, "Enter")
    page.wait_for_selector("#why-title:has-text('Why not a 2?')")
    page.wait_for_selector("#heat[aria-label^='Integrated gradients for 2']")
    _tab_to(page, "#methods input")
    _press(page, "r")
    page.wait_for_selector("#heat[aria-label^='Saliency for 2']")
    _press(page, "Control+z")
    assert page.locator("#paper-state").text_content() == "The paper is empty."


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_finger_writes_on_a_phone(
    visit: Open, service: Service, scheme: str, shots: Path
) -> None:
    page = visit(service.address, color_scheme=scheme, **PHONE)
    page.screenshot(path=shots / f"phone-{scheme}-empty.png", full_page=True)
    touch(page, 3)
    assert settle(page) == 3
    assert page.evaluate("[scrollX, scrollY]") == [0, 0]  # the finger wrote and did not scroll
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    answer = page.locator("#said").bounding_box()
    assert answer is not None and answer["y"] + answer["height"] < 844
    page.wait_for_selector("#why[data-state=explained]")
    page.screenshot(path=shots / f"phone-{scheme}.png", full_page=True)
    assert _faults(page) == ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_light_and_dark(
    visit: Open, service: Service, scheme: str, shots: Path
) -> None:
    page = visit(service.address, color_scheme=scheme, **DESK)
    assert _faults(page) == ""
    page.screenshot(path=shots / f"desk-{scheme}-empty.png")
    write(page, 7)
    settle(page)
    page.wait_for_selector("#why[data-state=explained]")
    page.get_by_role("button", name="This is not a 7").click()
    page.wait_for_timeout(300)  # colours fade over
    page.screenshot(path=shots / f"desk-{scheme}.png")
    assert _faults(page) == ""
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != ground
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != ground


def test_nothing_moves_for_who_asks_for_that(visit: Open, service: Service) -> None:
    moving = """[...document.querySelectorAll("*")].filter((each) =>
      getComputedStyle(each).transitionDuration !== "0s").length"""
    assert visit(service.address).evaluate(moving) > 0
    assert visit(service.address, reduced_motion="reduce").evaluate(moving) == 0
