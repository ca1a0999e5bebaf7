"""Passes the alert stream on to one browser: event by event, nothing kept, closed upstream when
it goes.

To the browser go an alert's id and version alone; the card is fetched with the viewer's own scope.
A beat every few seconds tells the browser that the whole way is open: a connection can be dead
without having ended.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx

BEAT_SECONDS = 5.0
BEAT = b"event: beat\ndata: {}\n\n"
# How long a browser waits before it comes again, in milliseconds.
HELLO = b"retry: 1000\nevent: beat\ndata: {}\n\n"

StillMay = Callable[[], Awaitable[bool]]


async def relay_alerts(
    response: httpx.Response, still_may: StillMay, *, beat_seconds: float = BEAT_SECONDS
) -> AsyncIterator[bytes]:
    """Events for the browser until upstream ends or the viewer's session does."""
    yield HELLO
    events = read_events(response).__aiter__()
    coming = asyncio.ensure_future(_next(events))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=beat_seconds)
            if not done:
                if not await still_may():
                    return
                yield BEAT
                continue
            try:
                event = coming.result()
            except (StopAsyncIteration, httpx.HTTPError):
                return
            coming = asyncio.ensure_future(_next(events))
            shown = translate(event)
            if shown:
                yield shown
    finally:
        # Not awaited: when the browser goes, the server cancels us again at every await, and a
        # second blow to the reading task would leave its connection open.
        coming.add_done_callback(_look_at)
        coming.cancel()


async def _next(events: AsyncIterator[dict[str, str]]) -> dict[str, str]:
    return await anext(events)


def _look_at(ended: asyncio.Future[dict[str, str]]) -> None:
    """Nobody waits for it any more; an error that nobody looks at would be logged as a mistake."""
    if not ended.cancelled():
        ended.exception()


async def read_events(response: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """Fields of each server-sent event, as they arrive."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if not line:
            if fields:
                yield fields
                fields = {}
            continue
        name, _, value = line.partition(":")
        if name:
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name in fields else value


def translate(event: dict[str, str]) -> bytes:
    """The event for the browser; empty for anything that is not an alert."""
    try:
        body: Any = json.loads(event.get("data", ""))
    except ValueError:
        return b""
    if not isinstance(body, dict):
        return b""
    alert_id = body.get("record_id")
    if not isinstance(alert_id, str) or event.get("event") != "alert":
        return b""
    data = json.dumps({"id": alert_id, "version": body.get("record_version", 0)})
    identity = f"id: {event['id']}\n" if "id" in event else ""
    return f"{identity}event: alert\ndata: {data}\n\n".encode()
