"""What a process of tracing holds in memory, set up before the doors open."""

from __future__ import annotations

from services.tracing.handlers.city import open_city
from services.tracing.handlers.watch import open_watch
from shared.service import Room


async def open_memories(room: Room) -> None:
    """The city for questions, the stays of cases for live decisions."""
    await open_watch(room)
    await open_city(room)
