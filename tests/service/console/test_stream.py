"""The stream that is passed on to browsers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from services.console.handlers.relay import relay_alerts
from services.console.repository.owners import Owners
from shared.access import SESSION_COOKIE
from shared.service import Room
from tests.eventually import eventually
from tests.service.console.house import all_at, served
from tests.service.console.upstream import Upstream, an_alert


class Pieces(httpx.AsyncByteStream):
    """A body that comes piece by piece, cut anywhere, and then stays open or ends."""

    def __init__(self, *pieces: bytes, stays_open: bool = False) -> None:
        self._pieces = pieces
        self._stays_open = stays_open
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._stays_open:
            await asyncio.Event().wait()

    async def aclose(self) -> None:
        self.closed = True


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


def silent() -> httpx.Response:
    return httpx.Response(200, stream=Pieces(stays_open=True))


ALERT = b'{"record_id": "0193", "record_version": 3, "title_zh": "\xe5\xa4\x9a", "state": "open"}'


async def test_an_event_goes_on_whole_with_its_offset_and_without_its_content() -> None:
    stream = Pieces(b"id: 41\r\nevent: al", b"ert\r\ndata: ", ALERT, b"\r\n\r\n: ping\r\n\r\n")
    got = [piece async for piece in relay_alerts(httpx.Response(200, stream=stream), yes)]
    assert got[1:] == [b'id: 41\nevent: alert\ndata: {"id": "0193", "version": 3}\n\n']


async def test_what_is_no_alert_is_not_passed_on() -> None:
    stream = Pieces(b"event: alert\ndata: not json\n\nevent: other\ndata: {}\n\ndata: []\n\n")
    got = [piece async for piece in relay_alerts(httpx.Response(200, stream=stream), yes)]
    assert len(got) == 1


async def test_a_silent_stream_beats_until_the_session_ends() -> None:
    relay = relay_alerts(silent(), yes, beat_seconds=0.01)
    assert b"event: beat" in await anext(relay)
    assert await anext(relay) == b"event: beat\ndata: {}\n\n"
    await relay.aclose()  # type: ignore[attr-defined]
    ended = relay_alerts(silent(), no, beat_seconds=0.01)
    assert len([piece async for piece in ended]) == 1


async def test_an_upstream_that_is_away_is_503_and_not_an_endless_wait(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    upstream.away = {"/alerts/stream"}
    answer = await officer.get("/console/stream")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("how", ["header", "address"])
async def test_a_stream_goes_on_after_the_last_event_and_closes_upstream_with_the_browser(
    officer: httpx.AsyncClient, console: FastAPI, upstream: Upstream, how: str
) -> None:
    room: Room = console.state.room
    for _ in range(3):
        upstream.publish(an_alert())
    async with served(upstream.app) as owner_url, served(console) as url:
        own = room.extras["owners"] = Owners(all_at(owner_url))
        session = {SESSION_COOKIE: officer.cookies[SESSION_COOKIE]}
        headers = {"last-event-id": "0"} if how == "header" else {}
        path = "/console/stream" if how == "header" else "/console/stream?after=0"
        async with (
            httpx.AsyncClient(base_url=url, cookies=session) as client,
            client.stream("GET", path, headers=headers) as response,
        ):
            assert response.headers["content-type"].startswith("text/event-stream")
            ids = []
            async for line in response.aiter_lines():
                if line.startswith("id: "):
                    ids.append(line)
                if len(ids) == 2:
                    break
            assert ids == ["id: 1", "id: 2"]
            assert upstream.open_streams == 1

        async def closed() -> bool:
            return upstream.open_streams == 0

        await eventually(closed)
        await own.close()
