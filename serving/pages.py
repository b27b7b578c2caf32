"""The pages and their few files, served from memory."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from fastapi import FastAPI, Response

from serving.errors import RequestError

PAGE = Path(__file__).parent / "page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: path -> file
PAGES = {
    "/": "index.html",
    "/label": "label.html",
    "/drift": "drift.html",
    "/favicon.ico": "favicon.ico",
}


def add(api: FastAPI) -> None:
    """Add the pages, and all files below ``/page/``."""
    files = {
        file.relative_to(PAGE).as_posix(): (file.read_bytes(), mimetypes.guess_type(file.name)[0])
        for file in sorted(PAGE.rglob("*"))
        if file.is_file()
    }

    def serve(name: str) -> Response:
        if name not in files:
            raise RequestError(404, "not_found", "there is no such file")
        content, kind = files[name]
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
        return Response(content, media_type=kind, headers=headers)

    def add_page(path: str, name: str) -> None:
        @api.get(path, include_in_schema=False)
        async def page() -> Response:
            return serve(name)

    for path, name in PAGES.items():
        add_page(path, name)

    @api.get("/page/{name:path}", include_in_schema=False)
    async def file(name: str) -> Response:
        return serve(name)
