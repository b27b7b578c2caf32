"""The ways onto the paper beside the mouse: a pen, pictures dropped, pasted and chosen."""

from __future__ import annotations

import base64
import io

import pytest
from playwright.sync_api import Page

from tests.e2e.browser.conftest import Open, Service
from tests.e2e.browser.hand import photograph, settle, write

pytestmark = [pytest.mark.browser, pytest.mark.mnist, pytest.mark.timeout(600)]

INK = """() => {
  const sheet = document.getElementById("sheet");
  const { data } = sheet.getContext("2d").getImageData(0, 0, sheet.width, sheet.height);
  return data.filter((value, i) => i % 4 === 3 && value > 127).length;
}"""
#: whether there is ink so many pixels from the left and from the top
INKED = """(place) => {
  const sheet = document.getElementById("sheet");
  return sheet.getContext("2d").getImageData(place, place, 1, 1).data[3] > 127;
}"""
#: an event of the window that carries a picture
CARRY = """async ([kind, content]) => {
  const carried = new DataTransfer();
  const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
  carried.items.add(new File([bytes], "photo.jpg", { type: "image/jpeg" }));
  const options = { bubbles: true, cancelable: true };
  const event = kind === "paste"
    ? new ClipboardEvent(kind, { ...options, clipboardData: carried })
    : new DragEvent(kind, { ...options, dataTransfer: carried });
  document.getElementById("paper").dispatchEvent(event);
}"""


def _jpeg(digit: int) -> bytes:
    content = io.BytesIO()
    photograph(digit, seed=digit).save(content, "JPEG", quality=88)
    return content.getvalue()


@pytest.mark.parametrize("digit", [3, 7])
def test_a_photograph_is_read(visit: Open, service: Service, digit: int) -> None:
    page = visit(service.address)
    picture = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": _jpeg(digit)}
    page.locator("#file").set_input_files(picture)
    assert settle(page) == digit
    assert "photo.jpg" in str(page.locator("#paper-state").text_content())
    write(page, 0)  # a stroke takes a fresh sheet
    assert settle(page) == 0
    assert page.locator("#paper-state").text_content() == "The paper holds 1 stroke."


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(visit: Open, service: Service, kind: str) -> None:
    page = visit(service.address)
    content = base64.b64encode(_jpeg(0)).decode()
    if kind == "drop":
        page.evaluate(CARRY, ["dragenter", content])
        assert page.get_by_text("Drop the picture to have it read").is_visible()
    page.evaluate(CARRY, [kind, content])
    assert settle(page) == 0
    assert page.get_by_text("Drop the picture to have it read").is_hidden()


def test_a_file_that_is_no_picture_is_refused_in_words(visit: Open, service: Service) -> None:
    page = visit(service.address)
    picture = {"name": "notes.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.locator("#file").set_input_files(picture)
    page.wait_for_selector("#notice:visible")
    assert "notes.png" in str(page.locator("#notice-text").text_content())
    write(page, 0)
    assert settle(page) == 0
    assert page.locator("#notice").is_hidden()


def test_a_pen_writes_thicker_when_it_is_pressed(visit: Open, service: Service) -> None:
    page = visit(service.address, expected="willReadFrequently")  # of this test's own look
    inks = []
    for force in (0.1, 0.9):
        _line(page, force)
        inks.append(page.evaluate(INK))
        page.keyboard.press("Escape")
    assert inks[1] > 1.5 * inks[0] > 0


def test_a_palm_beside_the_pen_draws_nothing(visit: Open, service: Service) -> None:
    page = visit(service.address, has_touch=True, expected="willReadFrequently")
    box = page.locator("#paper").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 50)
    page.touchscreen.tap(box["x"] + 250, box["y"] + 250)
    page.mouse.move(box["x"] + 150, box["y"] + 150)
    page.mouse.up()
    assert page.locator("#paper-state").text_content() == "The paper holds 1 stroke."
    assert [page.evaluate(INKED, place) for place in (100, 150, 250)] == [False, True, False]


def _line(page: Page, force: float) -> None:
    pen = page.context.new_cdp_session(page)
    box = page.locator("#paper").bounding_box()
    assert box is not None
    for kind, x in (("mousePressed", 100), ("mouseMoved", 200), ("mouseMoved", 300),
                    ("mouseReleased", 300)):  # fmt: skip
        pen.send("Input.dispatchMouseEvent", {
            "type": kind, "x": box["x"] + x, "y": box["y"] + 200, "button": "left", "buttons": 1,
            "clickCount": 1, "pointerType": "pen", "force": force,
        })  # fmt: skip
