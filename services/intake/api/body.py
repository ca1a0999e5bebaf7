"""What every route of intake takes from a request: the desk, the actor, a bounded body."""

from __future__ import annotations

from typing import Annotated, cast
from uuid import UUID

from fastapi import Query, Request

from services.intake.domain.vault import Vault
from services.intake.errors import no_source
from services.intake.handlers.desk import Desk
from services.intake.repository.sources import sees_source
from services.intake.settings import LISTED_ROWS_MAX
from shared.access import Viewer
from shared.errors import TooLarge
from shared.http import room_of, viewer_of
from shared.service import Room

DESK = "intake.desk"
Limit = Annotated[int, Query(ge=1, le=LISTED_ROWS_MAX)]


async def open_desk(room: Room) -> None:
    """Before the doors open: the vault, or a clear refusal to start without one."""
    desk_of_room(room)


def desk_of_room(room: Room) -> Desk:
    if DESK not in room.extras:
        vault = room.extras.get("vault") or Vault.from_text(room.extras["secrets"].vault_key)
        room.extras[DESK] = Desk(
            room.database, vault, room.freshness, room.settings.copy_stale_seconds
        )
    return cast(Desk, room.extras[DESK])


def desk_of(request: Request) -> Desk:
    return desk_of_room(room_of(request))


async def read_body(request: Request, bytes_max: int) -> bytes:
    """The body, refused as soon as it is known to be too long."""
    too_large = TooLarge("the body is too large", f"send at most {bytes_max} bytes at once")
    if int(request.headers.get("content-length", "0") or "0") > bytes_max:
        raise too_large
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > bytes_max:
            raise too_large
        parts.append(part)
    return b"".join(parts)


async def source_of(request: Request, named: UUID | None = None) -> UUID:
    """The client's own source. Staff, whose session has none, names one whose place lies in their
    areas; a client never may."""
    viewer: Viewer = viewer_of(request)
    if viewer.source_id is not None:
        return viewer.source_id
    if named is None or not viewer.subject.startswith("staff:"):
        raise no_source()
    async with desk_of(request).database.read() as session:
        if not await sees_source(session, viewer, named):
            raise no_source()
    return named
