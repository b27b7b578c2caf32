"""Who is let in."""

from __future__ import annotations

import pytest

from serving.errors import RequestError
from serving.guard import CLIENTS, OPEN, Guard


def admit(guard, path="/v1/predict", method="POST", client="1.2.3.4", **headers):
    given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    guard.admit({"path": path, "method": method, "client": (client, 1)}, given)


def refusal(*arguments, **further):
    with pytest.raises(RequestError) as refused:
        admit(*arguments, **further)
    return refused.value


KEYED = Guard(frozenset({"one", "two"}), rate=None, burst=1)
FREE = Guard(frozenset(), rate=None, burst=1)


@pytest.mark.parametrize(
    "path", ["/v1/predict", "/v1/feedback", "/metrics", "/v1/labelling/next", "/v2", "/x"]
)
def test_every_route_that_is_not_open_asks_for_a_key(path):
    assert refusal(KEYED, path).status == 401
    assert refusal(KEYED, path, x_api_key="three").status == 401
    assert refusal(KEYED, path, authorization="Basic one").status == 401
    admit(KEYED, path, x_api_key="two")
    admit(KEYED, path, authorization="Bearer one")
    admit(FREE, path)


def test_the_page_and_probes_are_open():
    for path in (*OPEN, "/page/app.css"):
        admit(KEYED, path, method="GET")


def test_what_another_site_has_a_browser_send_is_refused():
    assert refusal(FREE, sec_fetch_site="cross-site").code == "cross_site"
    assert refusal(FREE, sec_fetch_site="same-site").code == "cross_site"
    assert refusal(FREE, origin="http://evil", host="here:8000").code == "cross_site"
    assert refusal(FREE, origin="null", host="here:8000").code == "cross_site"
    admit(FREE, sec_fetch_site="same-origin", origin="http://here:8000", host="here:8000")
    admit(FREE, origin="http://here:8000", host="here:8000")
    admit(FREE, method="GET", sec_fetch_site="cross-site")
    admit(FREE)


def test_a_client_has_its_burst_and_then_its_rate(monkeypatch):
    now = 100.0
    monkeypatch.setattr("serving.guard.time.monotonic", lambda: now)
    guard = Guard(frozenset(), rate=2, burst=3)
    for _ in range(3):
        admit(guard)
    refused = refusal(guard)
    assert refused.status == 429 and int(refused.headers["Retry-After"]) >= 1
    admit(guard, client="5.6.7.8")  # another one has its own
    now += 0.5
    admit(guard)
    assert refusal(guard).status == 429
    now += 100
    for _ in range(3):
        admit(guard)
    assert refusal(guard).status == 429


def test_clients_are_forgotten_before_there_are_too_many():
    guard = Guard(frozenset(), rate=1, burst=1)
    for number in range(CLIENTS + 50):
        admit(guard, client=str(number))
    assert len(guard._left) <= CLIENTS
