"""Styles, scripts and pictures: read once, served to who is signed in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import Request, Response

from services.console.errors import FileNotServed
from shared.http import Door

FOLDER = Path(__file__).parent / "static"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
door = Door("/console", tag="files")


@dataclass(frozen=True, slots=True)
class Served:
    content: bytes
    kind: str
    tag: str


@cache
def served_files() -> dict[str, Served]:
    """Every file by its name below `static/`: what is not in here is never opened."""
    files = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in KINDS:
            content = path.read_bytes()
            tag = hashlib.sha256(content).hexdigest()[:16]
            files[path.relative_to(FOLDER).as_posix()] = Served(content, KINDS[path.suffix], tag)
    return files


def file_address(name: str) -> str:
    """The address of a file; it changes with the content, so that browsers may keep it."""
    return f"/console/static/{name}?{served_files()[name].tag}"


@door.on("GET", "/static/{name:path}", permission="alerts.read", area_scope="everywhere")
async def file(request: Request, name: str) -> Response:
    """A file of the page."""
    found = served_files().get(name)
    if found is None:
        raise FileNotServed("there is no such file")
    current = request.url.query == found.tag
    headers = {
        "Cache-Control": "private, max-age=31536000, immutable" if current else "private, no-cache",
        "ETag": f'"{found.tag}"',
        "X-Content-Type-Options": "nosniff",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.kind, headers=headers)
