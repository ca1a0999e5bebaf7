"""The services that own what the page shows, asked over HTTP with the viewer's own credential."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from shared.service import Room

OWNERS = ("intake", "tracing", "quarantine", "alerts")
# A page waits for the slowest owner: better a part that says so than a page that does not come.
TIMEOUT = httpx.Timeout(4.0, connect=1.5, pool=2.0)
# A stream is silent as long as nothing happens; its own beat says that it lives.
STREAM_TIMEOUT = httpx.Timeout(None, connect=1.5)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an owner said: a status and its JSON; status 0 is an owner that is away or too slow."""

    status: int
    body: Any = None

    @property
    def fine(self) -> bool:
        return 200 <= self.status < 300

    @property
    def trouble(self) -> str:
        """Empty, or what to tell people: away, refused, broken."""
        if self.fine:
            return ""
        if self.status in (401, 403, 404):
            return "refused"
        return "away" if self.status in (0, 502, 503, 504) else "broken"


class Owners:
    """One client for questions and one for streams, so that streams never use up the connections
    of questions.
    """

    def __init__(
        self, urls: Mapping[str, str], *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.urls = urls
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=16)
        endless = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        # An environment's proxy has no business between our own services.
        self._asking = httpx.AsyncClient(
            transport=transport, timeout=TIMEOUT, limits=limits, trust_env=False
        )
        self._listening = httpx.AsyncClient(
            transport=transport, timeout=STREAM_TIMEOUT, limits=endless, trust_env=False
        )

    async def get(
        self, owner: str, path: str, credential: Mapping[str, str], **params: int | str | list[str]
    ) -> Answer:
        return await self._ask("GET", owner, path, headers=credential, params=params)

    async def post(
        self, owner: str, path: str, credential: Mapping[str, str], body: Mapping[str, Any]
    ) -> Answer:
        return await self._ask("POST", owner, path, headers=credential, json=body)

    async def _ask(self, method: str, owner: str, path: str, **options: Any) -> Answer:
        try:
            response = await self._asking.request(method, f"{self.urls[owner]}{path}", **options)
        except httpx.HTTPError:
            return Answer(0)
        try:
            return Answer(response.status_code, response.json())
        except ValueError:
            return Answer(502 if response.is_success else response.status_code)

    @asynccontextmanager
    async def listen(
        self, owner: str, path: str, headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """An open stream; leaving the block closes it upstream. Raises `httpx.HTTPError`."""
        url = f"{self.urls[owner]}{path}"
        async with self._listening.stream("GET", url, headers=dict(headers)) as response:
            yield response

    async def close(self) -> None:
        await self._asking.aclose()
        await self._listening.aclose()


def owners_of(room: Room) -> Owners:
    """This room's owners: made at the first question, because only then the own port is known."""
    if "owners" not in room.extras:
        settings = room.settings
        here = room.extras["base_url"]
        urls = {
            "intake": settings.intake_url,
            "tracing": settings.tracing_url,
            "quarantine": settings.quarantine_url,
            "alerts": settings.alerts_url,
        }
        room.extras["owners"] = Owners(
            {owner: (url or here()).rstrip("/") for owner, url in urls.items()}
        )
    owners: Owners = room.extras["owners"]
    return owners


async def close_at_end(room: Room) -> None:
    """Runs as long as the process, and closes the connections with it."""
    try:
        await asyncio.Event().wait()
    finally:
        if "owners" in room.extras:
            await owners_of(room).close()
