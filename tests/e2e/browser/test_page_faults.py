"""What the page does when the service refuses, rests or is away."""

from __future__ import annotations

import pytest

from tests.e2e.browser.conftest import Open, Serve, Service
from tests.e2e.browser.hand import settle, write

pytestmark = [pytest.mark.browser, pytest.mark.mnist, pytest.mark.timeout(600)]


def test_a_key_is_asked_for_and_kept_for_this_tab(visit: Open, serve: Serve) -> None:
    service = serve(key="sesame,other")
    page = visit(service.address, expected="401")
    page.wait_for_selector("#key-form:visible")
    write(page, 3)
    page.locator("#key").fill("mellon")
    page.keyboard.press("Enter")
    page.wait_for_selector("#key-label:has-text('does not know this key')")
    page.locator("#key").fill("sesame")
    page.get_by_role("button", name="Use it").click()
    assert settle(page) == 3
    assert page.locator("#key-form").is_hidden()
    page.reload()
    page.wait_for_selector("#about:visible")
    write(page, 7)
    assert settle(page) == 7
    assert page.locator("#key-form").is_hidden()


def test_a_service_that_asks_for_a_pause_gets_it(visit: Open, serve: Serve) -> None:
    service = serve(limits={"rate": 0.7, "burst": 3})
    page = visit(service.address, expected="429")
    write(page, 0)
    page.wait_for_selector("#notice:visible")
    assert "Trying again in" in str(page.locator("#notice-text").text_content())
    assert settle(page) == 0
    page.wait_for_selector("#notice", state="hidden")
    page.wait_for_selector("#why[data-state=explained]")


def test_what_is_written_offline_is_read_afterwards(visit: Open, service: Service) -> None:
    page = visit(service.address, expected="ERR_INTERNET_DISCONNECTED")
    page.context.set_offline(True)
    write(page, 7)
    page.wait_for_selector("#notice:visible")
    assert page.locator("#notice-text").text_content() == "You are offline. Trying again in 2 s."
    assert page.locator("#said").text_content() == "No answer yet"
    page.context.set_offline(False)
    assert settle(page) == 7
    assert page.locator("#notice").is_hidden()
