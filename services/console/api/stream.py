"""The alert stream, passed on to the browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from services.console.api.doors import READ, PageDoor, credential_of
from services.console.errors import OwnerAway
from services.console.handlers.relay import relay_alerts
from services.console.repository.owners import owners_of
from shared.http import is_same_viewer, room_of

door = PageDoor("/console", tag="stream")
_ID = re.compile(r"-1|[0-9]{1,18}")
# A proxy in front must not collect events before it passes them on.
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@door.on("GET", "/stream", permission=READ, area_scope="viewer")
async def stream(request: Request) -> Response:
    """Server-sent events `alert` {id, version} and `beat`; goes on after `Last-Event-ID`, or after
    `?after=` where a page opens its stream anew.
    """
    last = request.headers.get("last-event-id") or request.query_params.get("after", "")
    headers = {**credential_of(request), "accept": "text/event-stream"}
    # The page is before the first event at -1.
    if _ID.fullmatch(last):
        headers["last-event-id"] = last
    open_upstream = AsyncExitStack()
    listening = owners_of(room_of(request)).listen("alerts", "/alerts/stream", headers)
    try:
        response = await open_upstream.enter_async_context(listening)
    except httpx.HTTPError as error:
        raise OwnerAway("the alert stream is away", "the page tries again by itself") from error
    if response.status_code != 200:
        await open_upstream.aclose()
        raise OwnerAway("the alert stream does not open", "the page tries again by itself")

    async def events() -> AsyncIterator[bytes]:
        # Also when the browser goes: the server closes this generator, and with it upstream.
        async with open_upstream:
            async for piece in relay_alerts(response, lambda: is_same_viewer(request)):
                yield piece

    return StreamingResponse(events(), media_type="text/event-stream", headers=HEADERS)
