"""One port for all services of a process: /livez, /readyz, /metrics, and each service under its
prefix.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import generate_latest
from sqlalchemy import text
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.bus.port import Bus
from shared.delivery.consumer import ConsumerLoop
from shared.events.topics import TOPICS
from shared.http import Door, Doorkeeper, answer_errors
from shared.metrics import REGISTRY
from shared.service import Room

# Without a successful poll for so long a consumer counts as hanging.
POLL_SILENCE_SECONDS = 60.0
# Whoever asks whether we are ready gives up after three seconds (docker-compose.yml).
LOG_ANSWER_SECONDS = 2.0


class Process(Protocol):
    """What the front wants to know of the process."""

    rooms: dict[str, Room]
    consumers: list[ConsumerLoop]

    @property
    def bus(self) -> Bus: ...


class Front:
    """Pure ASGI: the first path segment names the service."""

    def __init__(self, apps: Mapping[str, FastAPI], own: ASGIApp) -> None:
        self.apps = apps
        self.own = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == "/" and "console" in self.apps:
            # The page itself, not a way to it: without a session that is 401 and the sign-in page.
            scope = {**scope, "path": "/console/", "raw_path": b"/console/"}
        segment = scope["path"].split("/", 2)[1] if "/" in scope["path"] else ""
        await self.apps.get(segment, self.own)(scope, receive, send)


def build_front(apps: Mapping[str, FastAPI], process: Process) -> Front:
    """The process's own routes beside those of its services."""
    own = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    own.include_router(_own_routes(process))
    answer_errors(own)
    first = next(iter(apps.values()))
    own.add_middleware(
        Doorkeeper, credentials=first.state.credentials, service="process", room=first.state.room
    )
    return Front(apps, own)


def _own_routes(process: Process) -> Door:
    door = Door("", tag="process")

    @door.on("GET", "/livez", permission="-", area_scope="open")
    async def livez() -> dict[str, str]:
        """The process answers; nothing else is asked."""
        return {"status": "alive"}

    @door.on("GET", "/readyz", permission="-", area_scope="open")
    async def readyz() -> Response:
        """Can this process do its work: database, log, consumers. 503 names what is missing."""
        missing = await _not_ready(process)
        notes = {name: note for room in process.rooms.values() for name, note in room.notes.items()}
        body = {"status": "not ready" if missing else "ready", "missing": missing, "notes": notes}
        return JSONResponse(body, 503 if missing else 200)

    @door.on("GET", "/metrics", permission="metrics.read", area_scope="everywhere")
    async def metrics() -> Response:
        """Every metric of `shared/metrics.py`."""
        return Response(generate_latest(REGISTRY), media_type="text/plain; version=0.0.4")

    return door


async def _not_ready(process: Process) -> Sequence[str]:
    missing: list[str] = []
    for name, room in process.rooms.items():
        try:
            async with room.database.read() as session:
                await session.execute(text("SELECT 1"))
        except Exception as error:  # noqa: BLE001, the edge: whatever it is, the service cannot work
            missing.append(f"{name}: database ({type(error).__name__})")
        missing.extend(f"{name}: {what}" for what in room.waiting_for.values())
    missing.extend(await _log_troubles(process.bus))
    for loop in process.consumers:
        missing.extend(_troubles(loop))
    return missing


async def _log_troubles(bus: Bus) -> list[str]:
    """A consumer cannot tell an absent log from a silent one, so it is asked something."""
    topic = next(iter(TOPICS.values())).name
    try:
        async with asyncio.timeout(LOG_ANSWER_SECONDS):
            await bus.end_offsets(topic)
    except Exception as error:  # noqa: BLE001, the edge: whatever it is, nothing is heard
        return [f"event log ({type(error).__name__})"]
    return []


def _troubles(loop: Any) -> list[str]:
    if loop.stopped_by is not None:
        return [f"{loop.name}: stopped, {loop.stopped_by}"]
    if loop.polled_at is None:
        return [f"{loop.name}: has not read yet"]
    if time.monotonic() - loop.polled_at > POLL_SILENCE_SECONDS:
        return [f"{loop.name}: has not read for {POLL_SILENCE_SECONDS:.0f} s"]
    return []
