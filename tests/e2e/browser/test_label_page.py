"""What labellers do on the labelling page: by keyboard, by finger, several at once."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from digits.contract.label import NOT_A_DIGIT, Queued
from digits.contract.labelling import LabelStore
from tests.e2e.browser.conftest import Open, Serve, Service
from tests.e2e.browser.hand import photograph

pytestmark = [pytest.mark.browser, pytest.mark.mnist, pytest.mark.timeout(600)]

DESK = {"viewport": {"width": 1280, "height": 800}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True, "is_mobile": True, "device_scale_factor": 2,
}  # fmt: skip
#: how many pixels of a canvas have ink
INK = """(id) => {
  const copy = new OffscreenCanvas(28, 28).getContext("2d", { willReadFrequently: true });
  copy.drawImage(document.getElementById(id), 0, 0);
  const { data } = copy.getImageData(0, 0, 28, 28);
  return data.filter((value, i) => i % 4 === 3 && value > 0).length;
}"""


def _sample(number: int, **values: object) -> Queued:
    """One of which the model says that it is a 7, or perhaps a 1; it has ``number`` dots of ink."""
    pixels = bytes([255] * number) + bytes(784 - number)
    shares = struct.pack("<10f", 0, 0.25, 0, 0.0004, 0, 0, 0, 0.625, 0, 0.125)
    usual = {"digit": 7, "confidence": 0.625, "version": "digits/3", "score": -0.375}
    return Queued(
        f"pool/{number}", pixels, shares, **usual, method="margin", time=time.time()
    )._replace(**values)


@pytest.fixture
def labelled(serve: Serve) -> tuple[Service, LabelStore]:
    """A service of its own, and its empty label store."""
    service = serve()
    return service, LabelStore(service.store.name)


def _enter(page: Page, name: str) -> None:
    page.wait_for_selector("#name-form:visible")
    page.keyboard.type(name)
    page.keyboard.press("Enter")


def _see(page: Page, number: int) -> None:
    """Wait for this sample."""
    deadline = time.monotonic() + 15
    while (seen := page.evaluate(INK, "sample")) != number:
        assert time.monotonic() < deadline, f"sample {seen} stays"
        page.wait_for_timeout(20)


def _said(page: Page, selector: str) -> str:
    return str(page.locator(selector).text_content())


def test_a_queue_is_labelled_with_the_keyboard_alone(
    visit: Open, labelled: tuple[Service, LabelStore]
) -> None:
    service, store = labelled
    store.enqueue([_sample(1, suggestion=4), *map(_sample, (2, 3, 4))])
    page = visit(service.address, path="/label", **DESK)
    _enter(page, "rater_a")
    _see(page, 1)
    assert _said(page, "#guess") == "The model reads a 7, 63 % sure."
    assert _said(page, "#suggestion") == "Somebody says it is a 4."
    assert page.locator(".digit-key").nth(7).text_content() == "763 %"
    assert page.locator(".digit-key").nth(3).text_content() == "3"
    pad = page.locator("#pad").bounding_box()
    page.keyboard.press("4")
    _see(page, 2)
    assert _said(page, "#last-text") == "✓ Stored: a 4."
    assert page.evaluate(INK, "last-sample") == 1
    assert _said(page, "#suggestion") == ""
    assert page.locator("#pad").bounding_box() == pad  # does not move under a finger
    page.keyboard.press("n")
    _see(page, 3)
    page.keyboard.press("s")
    _see(page, 4)
    page.keyboard.press("u")
    _see(page, 3)
    page.keyboard.press("u")
    _see(page, 2)
    page.keyboard.press("8")
    _see(page, 3)
    page.keyboard.press("0")
    _see(page, 4)
    page.keyboard.press("N")
    page.wait_for_selector("#sheet[data-state=empty]")
    assert _said(page, "#rest") == "Everything is labelled"
    assert _said(page, "#counts") == "4 of 4 labelled · 4 answered by you"
    assert [each.label for each in store.confirmed()] == [4, 8, 0, NOT_A_DIGIT]
    assert {each.labeller for each in store.confirmed()} == {"rater_a"}
    page.reload()  # the name is known, and so is what was done
    page.wait_for_selector("#rest:has-text('Everything is labelled')")
    page.keyboard.press("u")
    _see(page, 4)


def test_an_answer_is_shown_as_stored_only_once_it_is(
    visit: Open, labelled: tuple[Service, LabelStore]
) -> None:
    service, store = labelled
    store.enqueue([_sample(1), _sample(2)])
    page = visit(service.address, path="/label", expected="ERR_INTERNET_DISCONNECTED")
    _enter(page, "rater_a")
    _see(page, 1)
    page.context.set_offline(True)
    page.keyboard.press("3")
    page.wait_for_selector("#notice:visible")
    assert _said(page, "#notice-text") == "Not stored. You are offline. Trying again in 2 s."
    assert page.locator("#last").is_hidden()
    assert store.confirmed() == []
    page.context.set_offline(False)
    _see(page, 2)
    assert page.locator("#notice").is_hidden()
    assert [each.label for each in store.confirmed()] == [3]


def test_a_held_key_answers_once(visit: Open, labelled: tuple[Service, LabelStore]) -> None:
    service, store = labelled
    store.enqueue([_sample(number) for number in range(1, 9)])
    page = visit(service.address, path="/label")
    _enter(page, "rater_a")
    _see(page, 1)
    for _ in range(5):
        page.keyboard.down("7")  # repeats, since it is not let go
        page.wait_for_timeout(50)
    page.keyboard.up("7")
    page.locator(".digit-key").nth(5).focus()
    _see(page, 2)
    for _ in range(5):
        page.keyboard.down("Enter")
        page.wait_for_timeout(50)
    _see(page, 3)
    page.wait_for_timeout(200)
    assert [each.label for each in store.confirmed()] == [7, 5]


def test_keys_can_be_turned_off(visit: Open, labelled: tuple[Service, LabelStore]) -> None:
    service, store = labelled
    store.enqueue([_sample(1), _sample(2)])
    page = visit(service.address, path="/label", **DESK)
    _enter(page, "rater_a")
    _see(page, 1)
    page.locator("#keys").uncheck()
    page.keyboard.press("3")
    page.reload()
    _see(page, 1)
    page.keyboard.press("3")
    page.wait_for_timeout(200)
    assert store.confirmed() == []
    page.locator(".digit-key").nth(3).click()
    _see(page, 2)
    assert [each.label for each in store.confirmed()] == [3]


def test_two_labellers_share_a_queue_and_what_they_dispute_goes_to_a_third(
    visit: Open, labelled: tuple[Service, LabelStore]
) -> None:
    service, store = labelled
    store.enqueue([_sample(1), _sample(2)])
    first = visit(service.address, path="/label")
    _enter(first, "rater_a")
    _see(first, 1)
    second = visit(service.address, path="/label")
    _enter(second, "rater_b")
    _see(second, 2)
    first.keyboard.press("1")
    first.wait_for_selector("#sheet[data-state=empty]")
    assert _said(first, "#rest") == "Nothing left for you"
    store.label("pool/1", "rater_b", 7)
    second.keyboard.press("7")
    second.wait_for_selector("#counts:has-text('1 disputed')")
    third = visit(service.address, path="/label")
    _enter(third, "rater_c")
    _see(third, 1)
    third.keyboard.press("7")
    third.wait_for_selector("#counts:has-text('2 of 2 labelled')")
    assert [(each.label, each.labeller) for each in store.confirmed()] == [
        (7, "rater_b"),
        (7, "rater_b"),
    ]


def test_who_gets_controls_wrong_is_shown(
    visit: Open, labelled: tuple[Service, LabelStore]
) -> None:
    service, store = labelled
    store.enqueue([_sample(1), _sample(2), *(_sample(i, control=3) for i in (3, 4, 5))])
    for number in (1, 3, 4):
        store.label(f"pool/{number}", "rater_x", 9)
    store.label("pool/1", "rater_b", 9)
    page = visit(service.address, path="/label", **DESK)
    _enter(page, "rater_a")
    page.wait_for_selector("#doubts:has-text('rater_x: look at the controls')")
    page.locator("summary").click()
    page.get_by_role("columnheader", name="Agreement").wait_for()
    texts = "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    assert page.locator("#people-rows tr").evaluate_all(texts) == [
        ["rater_b", "1", "100 % of 1", "–"],
        ["rater_x", "1", "100 % of 1", "2 of 2 wrong"],
    ]


def test_a_key_and_a_name_are_asked_for(visit: Open, serve: Serve) -> None:
    service = serve(key="sesame")
    LabelStore(service.store.name).enqueue([_sample(1)])
    page = visit(service.address, path="/label", expected="401")
    _enter(page, "rater a")
    assert page.locator("#name-form").is_visible()  # no name has a space
    page.locator("#name").fill("rater_a")
    page.keyboard.press("Enter")
    page.wait_for_selector("#key-form:visible")
    page.keyboard.type("sesame")
    page.keyboard.press("Enter")
    _see(page, 1)
    page.get_by_role("button", name="Somebody else?").click()
    page.keyboard.type("rater_b")
    page.keyboard.press("Enter")
    page.wait_for_selector("#me-name:has-text('rater_b')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", ["desk", "phone"])
def test_axe_finds_nothing_and_everything_is_in_view(
    visit: Open, labelled: tuple[Service, LabelStore], screen: str, scheme: str, shots: Path
) -> None:
    service, store = labelled
    context = {"desk": DESK, "phone": PHONE}[screen]
    page = visit(service.address, path="/label", color_scheme=scheme, **context)
    page.wait_for_selector("#name-form:visible")
    page.screenshot(path=shots / f"label-{screen}-{scheme}-name.png", full_page=True)
    assert _faults(page) == ""
    _enter(page, "rater_a")
    page.wait_for_selector("#rest:has-text('Nothing is queued')")
    page.screenshot(path=shots / f"label-{screen}-{scheme}-empty.png", full_page=True)
    assert _faults(page) == ""
    store.enqueue([_sample(300, pixels=_written(digit), sample=f"w/{digit}", suggestion=4)
                   for digit in (7, 4, 3)])  # fmt: skip
    for number in (3, 4):
        store.enqueue([_sample(number, control=3)])
        for labeller, label in (("rater_x", 9), ("rater_a", 3)):
            store.label(f"pool/{number}", labeller, label)
    page.reload()
    page.wait_for_selector("#suggestion:not(:empty)")
    press = page.locator(".digit-key").nth(7)
    press.tap() if screen == "phone" else press.click()
    page.wait_for_selector("#last:visible")
    page.wait_for_timeout(300)  # bars grow
    box = page.locator("#undo").bounding_box()
    assert box is not None and box["y"] + box["height"] < context["viewport"]["height"]
    assert page.evaluate("document.documentElement.scrollWidth") == context["viewport"]["width"]
    page.screenshot(path=shots / f"label-{screen}-{scheme}.png", full_page=True)
    page.locator("summary").click()
    page.wait_for_selector("#people-rows tr")
    page.screenshot(path=shots / f"label-{screen}-{scheme}-people.png", full_page=True)
    assert _faults(page) == ""


def _faults(page: Page) -> str:
    """Return what axe-core finds; empty: nothing."""
    found = Axe().run(page)
    return found.generate_report() if found.violations_count else ""


def _written(digit: int) -> bytes:
    from digits.contract.preprocessing import Preprocessing

    return Preprocessing()(np.asarray(photograph(digit, 0))).tobytes()
