"""The bar on top of every whole page: whose areas, which pages, which language."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from services.console.api.doors import CASES, asking_of
from services.console.api.language import keep_language
from services.console.domain.words import LANGUAGES
from services.console.repository.areas import names_of
from shared.http import viewer_of


async def bar_of(request: Request, *, at: str) -> dict[str, Any]:
    """What `bar.html` shows; `at` is the page that the viewer is on."""
    viewer = viewer_of(request)
    async with asking_of(request).database.read() as session:
        own_areas = await names_of(session, viewer.area_ids)
    return {
        "at": at,
        "viewer_areas": viewer.area_ids,
        "own_areas": own_areas,
        "may_cases": viewer.may(CASES),
        "spoken": {code: _address(request, language=code) for code in LANGUAGES},
    }


def turn_to_language(request: Request) -> Response | None:
    """Where the address asks for a language: the same page without that in its address."""
    if request.query_params.get("language") not in LANGUAGES:
        return None
    return keep_language(request, RedirectResponse(_address(request), 303))


def _address(request: Request, **more: str) -> str:
    kept = [(name, text) for name, text in request.query_params.items() if name != "language"]
    query = urlencode([*kept, *more.items()])
    return f"{request.url.path}?{query}" if query else request.url.path
