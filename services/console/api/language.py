"""Which language a page speaks, and its words."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from fastapi import Request, Response

from services.console.domain.words import LANGUAGES, Words, preferred

LANGUAGE_COOKIE = "outpost_language"
LANGUAGE_SECONDS = 365 * 24 * 3600
FOLDER = Path(__file__).parent / "words"


@cache
def words_in(language: str) -> Words:
    """The catalogue `words/<language>.yaml`, read once."""
    texts = yaml.safe_load((FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    return Words(language, texts)


def words_of(request: Request) -> Words:
    """Asked for in the address, kept in the cookie, or what the browser prefers."""
    chosen = request.query_params.get("language") or request.cookies.get(LANGUAGE_COOKIE)
    if chosen not in LANGUAGES:
        chosen = preferred(request.headers.get("accept-language", ""))
    return words_in(chosen)


def keep_language(request: Request, response: Response) -> Response:
    """Remember a language that was asked for in the address."""
    chosen = request.query_params.get("language")
    if chosen in LANGUAGES:
        response.set_cookie(
            LANGUAGE_COOKIE,
            chosen,
            max_age=LANGUAGE_SECONDS,
            path="/",
            secure=request.app.state.room.settings.session_cookie_secure,
            httponly=True,
            samesite="lax",
        )
    return response
