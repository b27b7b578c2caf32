"""Who may ask, and how often: keys, cross-site requests, a rate for each client."""

from __future__ import annotations

import time
from collections import OrderedDict

from serving.call import Scope
from serving.errors import RequestError
from serving.head import check_key, shown_key
from serving.pages import PAGES

PROBES = frozenset({"/healthz", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready"})
#: what answers without a key: the page has to ask for one, and probes have none
OPEN = PROBES | PAGES.keys()
OPEN_BELOW = "/page/"
READING = frozenset({"GET", "HEAD", "OPTIONS"})
CLIENTS = 10_000  # whose rates are remembered at once


def is_probe(scope: Scope) -> bool:
    """Tell whether this asks how the service is: it may not look dead because it is busy."""
    return scope["path"] in PROBES and scope["method"] in READING


class Guard:
    """Turns requests away before their body is read.

    Args:
        keys: one of which a client must show as ``X-API-Key`` or bearer token; empty: none.
        rate: requests a second of one client on average, counted in each worker; None: any.
        burst: requests at once before the rate counts.
    """

    def __init__(self, keys: frozenset[str], *, rate: float | None, burst: int) -> None:
        self._keys = tuple(key.encode() for key in sorted(keys))
        self._rate = rate
        self._burst = float(burst)
        #: client -> (requests it may still send at once, when that was counted)
        self._left: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    @property
    def wants_key(self) -> bool:
        """Whether a key is asked for."""
        return bool(self._keys)

    def admit(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Let the request pass.

        Raises:
            RequestError: 401 without a right key, 403 from another site, 429 too many.
        """
        path = scope["path"]
        if path in OPEN or path.startswith(OPEN_BELOW):
            return
        shown = None
        if self._keys:
            shown = shown_key(headers)
            check_key(shown, self._keys)
        if scope["method"] not in READING:
            _check_site(headers)
        if self._rate is not None:
            client = shown or str((scope.get("client") or ("",))[0]).encode()
            self._count(client, self._rate)

    def _count(self, client: bytes, rate: float) -> None:
        now = time.monotonic()
        left, since = self._left.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - since) * rate)
        if len(self._left) >= CLIENTS:
            self._left.popitem(last=False)
        if left < 1:
            self._left[client] = (left, now)
            wait = (1 - left) / rate
            raise RequestError(
                429,
                "too_many_requests",
                f"more than {rate:g} requests a second; wait {wait:.1f} s",
                {"Retry-After": str(max(1, round(wait + 0.5)))},
            )
        self._left[client] = (left - 1, now)


def _check_site(headers: dict[bytes, bytes]) -> None:
    """Refuse what a page of another site has a browser send."""
    site = headers.get(b"sec-fetch-site")
    origin = headers.get(b"origin")
    if site is None and origin is None:
        return
    foreign = site is not None and site not in (b"same-origin", b"none")
    if origin is not None and site is None:
        foreign = origin.partition(b"://")[2] != headers.get(b"host", b"")
    if foreign:
        raise RequestError(403, "cross_site", "requests from pages of other sites are refused")
