"""Places."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request

from services.intake.api.body import Limit, desk_of
from services.intake.handlers.places import register_places
from services.intake.repository.places import list_places
from services.intake.schemas.registry import PlaceIn
from services.intake.settings import PAGE_ROWS, ROWS_MAX
from shared.database.work import Actor
from shared.errors import TooLarge
from shared.http import Door, viewer_of

door = Door("/intake", tag="places")


@door.on("POST", "/places", permission="places.write", area_scope="everywhere")
async def post_places(request: Request, places: PlaceIn | list[PlaceIn]) -> list[dict[str, Any]]:
    """Register or change places, by their codes."""
    wanted = places if isinstance(places, list) else [places]
    if len(wanted) > ROWS_MAX:
        raise TooLarge("too many places in one body", f"send at most {ROWS_MAX} at once")
    return await register_places(
        desk_of(request).database,
        [place.read() for place in wanted],
        actor=Actor(viewer_of(request).subject),
    )


@door.on("GET", "/places", permission="places.read", area_scope="viewer")
async def get_places(
    request: Request,
    place_id: Annotated[list[UUID], Query(max_length=PAGE_ROWS)] = [],  # noqa: B006
    after: str = "",
    limit: Limit = PAGE_ROWS,
) -> list[dict[str, Any]]:
    """Places in the viewer's areas, or those of the ids; `after` is a code to page on from."""
    async with desk_of(request).database.read() as session:
        rows = await list_places(
            session, viewer_of(request), ids=place_id, after=after, limit=limit
        )
    return [row._asdict() for row in rows]
