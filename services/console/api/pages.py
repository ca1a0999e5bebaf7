"""The live page and its parts."""

from __future__ import annotations

import asyncio

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from services.console.api.bar import bar_of
from services.console.api.doors import ACT, READ, PageDoor, asking_of
from services.console.api.language import keep_language
from services.console.api.render import page
from services.console.domain.words import LANGUAGES
from services.console.handlers.board import (
    Names,
    alerts_part,
    balance_part,
    health_part,
    signals_part,
)
from shared.http import room_of, viewer_of

door = PageDoor("/console", tag="pages")


@door.on("GET", "/", permission=READ, area_scope="viewer")
async def board(request: Request) -> Response:
    """The live page. Without a session: 401 with the sign-in page. `?language=` is kept."""
    if request.query_params.get("language") in LANGUAGES:
        return keep_language(request, RedirectResponse("/console/", 303))
    asking = asking_of(request)
    bar = await bar_of(request, at="board")
    alerts, signals, balance, health = await asyncio.gather(
        alerts_part(asking), signals_part(asking), balance_part(asking), health_part(asking.owners)
    )
    return page(
        request,
        "board.html",
        Names({**signals.names.areas, **alerts.names.areas}, alerts.names.places),
        alerts=alerts,
        signals=signals,
        balance=balance,
        health=health,
        now=room_of(request).clock.now(),
        may_act=viewer_of(request).may(ACT),
        **bar,
    )


@door.on("GET", "/parts/alerts", permission=READ, area_scope="viewer")
async def alerts(request: Request) -> Response:
    """All cards anew: what a browser takes after its stream was open again."""
    part = await alerts_part(asking_of(request))
    may_act = viewer_of(request).may(ACT)
    return page(request, "alerts.html", part.names, alerts=part, may_act=may_act)


@door.on("GET", "/parts/tally", permission=READ, area_scope="viewer")
async def tally(request: Request) -> Response:
    """How many alerts want somebody, by level."""
    return page(request, "tally.html", alerts=await alerts_part(asking_of(request)))


@door.on("GET", "/parts/signals", permission=READ, area_scope="viewer")
async def signals(request: Request) -> Response:
    """Signals by area."""
    part = await signals_part(asking_of(request))
    return page(request, "signals.html", part.names, signals=part)


@door.on("GET", "/parts/balance", permission=READ, area_scope="viewer")
async def balance(request: Request) -> Response:
    """The counters that must add up."""
    return page(request, "balance.html", balance=await balance_part(asking_of(request)))


@door.on("GET", "/parts/health", permission=READ, area_scope="everywhere")
async def health(request: Request) -> Response:
    """The services behind this page."""
    owners = asking_of(request).owners
    now = room_of(request).clock.now()
    return page(request, "health.html", health=await health_part(owners), now=now)
