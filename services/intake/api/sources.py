"""Sources."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from services.intake.api.body import desk_of
from services.intake.handlers.replay import replay_messages
from services.intake.handlers.sources import register_source
from services.intake.repository.messages import WaitingFor
from services.intake.repository.sources import list_sources
from services.intake.schemas.registry import SourceIn
from shared.database.work import Actor
from shared.http import Door, viewer_of

door = Door("/intake", tag="sources")


@door.on("POST", "/sources", permission="sources.write", area_scope="everywhere")
async def post_source(request: Request, source: SourceIn) -> dict[str, Any]:
    """Register or change a source; messages that waited for it are replayed at once."""
    desk, actor = desk_of(request), Actor(viewer_of(request).subject)
    told = await register_source(desk.database, source.read(), actor=actor)
    waiting = WaitingFor(told["source_id"], source.facility_namespace, source.facility_universal_id)
    told["replayed"] = await replay_messages(desk, actor=actor, source=waiting)
    return told


@door.on("GET", "/sources", permission="sources.read", area_scope="viewer")
async def get_sources(request: Request) -> list[dict[str, Any]]:
    """Sources whose place lies in the viewer's areas."""
    async with desk_of(request).database.read() as session:
        rows = await list_sources(session, viewer_of(request))
    return [row._asdict() for row in rows]
