"""The page for everybody: by keyboard, by finger, in the dark, with weak eyes."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.e2e.browser.conftest import Open, Service
from tests.e2e.browser.hand import settle, touch, write

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True, "is_mobile": True, "device_scale_factor": 2,
}  # fmt: skip
DESK = {"viewport": {"width": 1280, "height": 800}}

#: text whose contrast to what lies behind it is below that of WCAG 2.2 AA
PALE = """() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const solid = (colours) => {
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      context.fillStyle = colour;
      context.fillRect(0, 0, 1, 1);
    }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) =>
      v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const pale = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.checkVisibility({ opacityProperty: true,
        visibilityProperty: true }) || element.closest(":disabled, script, .unseen")) continue;
    const behind = [];
    for (let each = element; each; each = each.parentElement) {
      behind.unshift(getComputedStyle(each).backgroundColor);
    }
    const style = getComputedStyle(element);
    const [a, b] = [light(solid(behind)), light(solid([...behind, style.color]))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (contrast < (large ? 3 : 4.5)) pale.push(`${walk.currentNode.data}: ${contrast.toFixed(2)}`);
  }
  return pale;
}"""
#: whether the focused element shows that it is
MARKED = """() => {
  const element = document.activeElement;
  const shown = element.type === "radio" ? element.nextElementSibling : element;
  return element.matches(":focus-visible") && getComputedStyle(shown).outlineStyle !== "none";
}"""


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
    page.wait_for_selector("#why-title:has-text('Why a 2?')")
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
    assert page.evaluate(PALE) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(
    visit: Open, service: Service, scheme: str, shots: Path
) -> None:
    page = visit(service.address, color_scheme=scheme, **DESK)
    assert page.evaluate(PALE) == []
    write(page, 7)
    settle(page)
    page.wait_for_selector("#why[data-state=explained]")
    page.get_by_role("button", name="This is not a 7").click()
    page.wait_for_timeout(300)  # colours fade over
    page.screenshot(path=shots / f"desk-{scheme}.png")
    assert page.evaluate(PALE) == []
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
