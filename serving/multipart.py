"""Forms with pictures, as browsers and ``curl -F`` send them."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from serving.bodies import checked_key
from serving.call import Call
from serving.errors import RequestError
from serving.settings import Limits

FILES = ("file", "image", "images")


async def read_form(call: Call, limits: Limits) -> tuple[list[bytes], str | None]:
    """Return the files of a form, and the client's key if there is one.

    Raises:
        RequestError: not a proper form, without a file, with too many, or with other fields.
    """

    async def once() -> AsyncGenerator[bytes, None]:
        yield call.body

    parser = MultiPartParser(
        Headers(raw=list(call.headers.items())),
        once(),
        max_files=limits.batch,
        max_fields=16,
        max_part_size=limits.body_bytes,
    )
    try:
        form = await parser.parse()
    # The parser lets out KeyError and others for a boundary that is missing or never comes.
    except (MultiPartException, KeyError, ValueError) as error:
        reason = getattr(error, "message", "") or "it has no proper boundary"
        raise RequestError(400, "bad_form", f"the form cannot be read: {reason}") from error
    files, key = [], None
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if name not in FILES:
                    raise RequestError(422, "unknown_field", f"send files as {' or '.join(FILES)}")
                files.append(await value.read())
            elif name == "key":
                key = checked_key(value)
            else:
                raise RequestError(422, "unknown_field", f"unknown field {name[:50]!r}")
    finally:
        await form.close()
    if not files:
        raise RequestError(422, "missing_field", "the form has no file; name it 'file'")
    return files, key
