"""Links of the chain of transmission, as they were declared: all candidates, none chosen."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from services.tracing.errors import PersonNotFound
from services.tracing.repository import pages
from services.tracing.schemas.cases import LinkCounts, LinksShown, show_link
from shared.access import Viewer
from shared.http import Door, room_of, viewer_of
from shared.service import Room

door = Door("/tracing", tag="links")

Here = Annotated[Room, Depends(room_of)]
Who = Annotated[Viewer, Depends(viewer_of)]
TOP = 10


@door.on("GET", "/persons/{person_id}/links", permission="cases.read", area_scope="viewer")
async def get_links(person_id: UUID, room: Here, viewer: Who) -> LinksShown:
    """Who may have infected this person, and whom this person may have infected."""
    async with room.database.read() as session:
        if not await pages.sees_person(session, viewer, person_id):
            raise PersonNotFound("no such person in your areas", "check the id and your areas")
        rows = await pages.list_links(session, person_id)
    return LinksShown(
        person_id=person_id,
        infectors=[show_link(row, person_id) for row in rows if row.other_person_id == person_id],
        infectees=[show_link(row, person_id) for row in rows if row.person_id == person_id],
    )


@door.on("GET", "/links", permission="cases.read", area_scope="viewer")
async def get_link_counts(room: Here, viewer: Who) -> list[LinkCounts]:
    """Edges of the chain by disease, and the persons with the most infectees."""
    async with room.database.read() as session:
        return [
            LinkCounts(
                disease=row.disease,
                edges=row.edges,
                infectors=row.infectors,
                infectees=row.infectees,
                dated=row.dated,
                top_infectors=[
                    {"person_id": str(top.person_id), "infectees": top.infectees}
                    for top in await pages.top_infectors(session, viewer, row.disease, limit=TOP)
                ],
            )
            for row in await pages.count_links(session, viewer)
        ]
