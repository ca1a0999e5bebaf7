"""Templates to pages, with the headers that keep a page to itself."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.console.api.files import file_address
from services.console.api.language import keep_language, words_of
from services.console.domain import times
from services.console.domain.alerts import ACTS, LEVELS
from services.console.domain.cases import CHIPS_MOST, EVIDENCE_MOST
from services.console.domain.words import LANGUAGES, Words
from services.console.handlers.board import NO_NAMES, Names

FOLDER = Path(__file__).parent / "templates"
# Nothing from elsewhere, nothing inline: what an alert's text says can never run.
POLICY = (
    "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # The same address answers in either language and with either page.
    "Vary": "Cookie, Accept-Language",
}


class Speaker:
    """What templates say about areas, places and times, in the page's language."""

    def __init__(self, words: Words, names: Names) -> None:
        self._words = words
        self._names = names

    def area(self, area_id: str | None) -> str:
        if not area_id:
            return self._words("area.unknown")
        known = self._names.areas.get(area_id)
        return known.name(self._words.language) if known else area_id

    def place(self, place_id: str | None, point_id: str) -> str:
        known = self._names.places.get(place_id or "")
        return known.name(self._words.language) if known else f"…{point_id[-8:]}"

    def place_code(self, place_id: str | None) -> str:
        known = self._names.places.get(place_id or "")
        return known.code if known else ""

    def short(self, record_id: str) -> str:
        """The end of an id: of ids given in one minute, the beginnings are alike."""
        return f"…{record_id[-8:]}"

    def zone(self, area_id: str | None) -> tzinfo:
        known = self._names.areas.get(area_id or "")
        return known.zone if known else UTC

    def instant(self, at: datetime, area_id: str | None) -> str:
        return times.format_instant(at, self.zone(area_id))

    def span(self, first_at: datetime, last_at: datetime, area_id: str | None) -> str:
        return times.format_span(first_at, last_at, self.zone(area_id))

    def offset(self, at: datetime, area_id: str | None) -> str:
        return times.format_offset(at, self.zone(area_id))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "LANGUAGES": LANGUAGES,
        "LEVELS": LEVELS,
        "ACTS": ACTS,
        "CHIPS_MOST": CHIPS_MOST,
        "EVIDENCE_MOST": EVIDENCE_MOST,
        "address": file_address,
    }
    return environment


def render(words: Words, template: str, names: Names = NO_NAMES, **values: Any) -> str:
    """A template as text."""
    speaker = Speaker(words, names)
    return _environment().get_template(template).render(t=words, say=speaker, **values)


def page(
    request: Request, template: str, names: Names = NO_NAMES, *, status: int = 200, **values: Any
) -> Response:
    """A page or a part of one, in the viewer's language."""
    text = render(words_of(request), template, names, **values)
    response = HTMLResponse(text, status, {**HEADERS, "Content-Security-Policy": POLICY})
    return keep_language(request, response)


@cache
def _inline_style() -> tuple[str, str]:
    """The style of pages that stand alone, and the policy that lets in exactly this text."""
    style = (FOLDER / "alone.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none';"
        " form-action 'self'; frame-ancestors 'none'"
    )
    return style, policy


def page_alone(
    request: Request, template: str, status: int, *, headers: dict[str, str], **values: Any
) -> Response:
    """A page that needs no other file: whoever sees it may not be allowed to load one."""
    style, policy = _inline_style()
    text = render(words_of(request), template, style=style, **values)
    all_headers = {**HEADERS, "Content-Security-Policy": policy, **headers}
    return keep_language(request, HTMLResponse(text, status, all_headers))
