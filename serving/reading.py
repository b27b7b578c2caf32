"""From a body to what it asks about, by its content type."""

from __future__ import annotations

from serving.bodies import KINDS, Asked, parse_json, read_json, read_octets
from serving.call import Call
from serving.errors import RequestError
from serving.pictures import Preprocess, read_picture
from serving.settings import Limits

OCTETS = "application/octet-stream"
FORM = "multipart/form-data"  # has a module of its own: its parser belongs to the web framework


def read(call: Call, limits: Limits, preprocess: Preprocess) -> Asked:
    """Read any body but a form.

    Raises:
        RequestError: of no known type, or see :mod:`serving.bodies`.
    """
    kind = call.content_type
    if kind in ("application/json", ""):
        return read_json(parse_json(call.body), limits, preprocess)
    if kind == OCTETS:
        images = read_octets(call.body, limits.batch)
    elif kind.startswith("image/"):
        if not call.body:
            raise RequestError(400, "empty_body", "the body is empty")
        images = read_picture(call.body, limits, preprocess)
    else:
        raise RequestError(415, "unknown_type", f"send {KINDS}, not {kind[:100]!r}")
    return Asked(images, len(images) > 1, None, {})
