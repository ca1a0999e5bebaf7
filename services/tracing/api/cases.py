"""Cases: opened by hand, listed, explained, discarded, opened again; their contacts, and who was
where they were."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Query

from services.tracing.errors import CaseNotFound
from services.tracing.handlers.hand import OpenCase, decide_case, open_case
from services.tracing.repository import pages
from services.tracing.schemas.cases import (
    ActShown,
    CaseAccepted,
    CaseShown,
    CasesShown,
    CaseWithActs,
    CoLocationsShown,
    ContactsShown,
    DecideRequest,
    OpenCaseRequest,
    show_case,
    show_co_location,
    show_contact,
)
from shared.access import Viewer
from shared.database.work import Actor
from shared.http import Door, room_of, viewer_of
from shared.service import Room

door = Door("/tracing", tag="cases")

Here = Annotated[Room, Depends(room_of)]
Who = Annotated[Viewer, Depends(viewer_of)]
PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
PageSize = Annotated[int, Query(ge=1, le=1000)]
Degree = Literal["close_contact", "contact_of_contact"]

ABSENT = CaseNotFound("no such case in your areas", "check the id and your areas")


@door.on("POST", "/cases", permission="cases.write", area_scope="viewer", status_code=202)
async def post_case(body: OpenCaseRequest, room: Here, viewer: Who) -> CaseAccepted:
    """Open a case by hand, with a reason."""
    async with room.database.work(Actor(viewer.subject)) as work:
        case_id = await open_case(work, viewer, OpenCase(**body.model_dump()))
    return CaseAccepted(case_id=case_id)


@door.on("GET", "/cases", permission="cases.read", area_scope="viewer")
async def get_cases(
    room: Here,
    viewer: Who,
    disease: str | None = None,
    standing: bool | None = None,
    page: PageNumber = 1,
    page_size: PageSize = 50,
) -> CasesShown:
    """Cases of the viewer's areas, the latest first."""
    async with room.database.read() as session:
        total, rows = await pages.list_cases(
            session, viewer, pages.Page(page, page_size), disease=disease, standing=standing
        )
    cases = [CaseShown(**show_case(row)) for row in rows]
    return CasesShown(total=total, page=page, page_size=page_size, cases=cases)


@door.on("GET", "/cases/{case_id}", permission="cases.read", area_scope="viewer")
async def get_case(case_id: UUID, room: Here, viewer: Who) -> CaseWithActs:
    """One case: why it stands or not, its window and what that was counted from, its evidence."""
    async with room.database.read() as session:
        found = await pages.find_case(session, viewer, case_id)
        if found is None:
            raise ABSENT
        acts = await pages.list_acts(session, found)
        counts = await pages.count_contacts(session, case_id)
    return CaseWithActs(**show_case(found), acts=[ActShown(**act) for act in acts], contacts=counts)


@door.on("GET", "/cases/{case_id}/contacts", permission="cases.read", area_scope="viewer")
async def get_contacts(
    case_id: UUID,
    room: Here,
    viewer: Who,
    degree: Degree | None = None,
    page: PageNumber = 1,
    page_size: PageSize = 50,
) -> ContactsShown:
    """Who was exposed to a case, each with reasons and evidence; withdrawn ones among them."""
    async with room.database.read() as session:
        if await pages.find_case(session, viewer, case_id) is None:
            raise ABSENT
        counts = await pages.count_contacts(session, case_id)
        total, rows = await pages.list_contacts(
            session, case_id, pages.Page(page, page_size), degree=degree
        )
    return ContactsShown(
        total=total,
        page=page,
        page_size=page_size,
        counts=counts,
        contacts=[show_contact(row) for row in rows],
    )


@door.on("GET", "/cases/{case_id}/co-locations", permission="cases.read", area_scope="viewer")
async def get_co_locations(
    case_id: UUID,
    room: Here,
    viewer: Who,
    standing: bool | None = None,
    page: PageNumber = 1,
    page_size: PageSize = 50,
) -> CoLocationsShown:
    """Whose visits met the case at a place, visit by visit; withdrawn ones among them."""
    async with room.database.read() as session:
        if await pages.find_case(session, viewer, case_id) is None:
            raise ABSENT
        total, rows = await pages.list_co_locations(
            session, case_id, pages.Page(page, page_size), standing=standing
        )
    return CoLocationsShown(
        total=total,
        page=page,
        page_size=page_size,
        co_locations=[show_co_location(row) for row in rows],
    )


@door.on(
    "POST", "/cases/{case_id}/discard", permission="cases.write", area_scope="viewer",
    status_code=202,
)  # fmt: skip
async def discard_case(case_id: UUID, body: DecideRequest, room: Here, viewer: Who) -> CaseAccepted:
    """This was no case: it falls, with its contacts and everything that rests on them."""
    async with room.database.work(Actor(viewer.subject)) as work:
        await decide_case(work, viewer, case_id, action="discard", reason=body.reason)
    return CaseAccepted(case_id=case_id)


@door.on(
    "POST", "/cases/{case_id}/reopen", permission="cases.write", area_scope="viewer",
    status_code=202,
)  # fmt: skip
async def reopen_case(case_id: UUID, body: DecideRequest, room: Here, viewer: Who) -> CaseAccepted:
    """Take a discard back: case and contacts stand again under the same ids."""
    async with room.database.work(Actor(viewer.subject)) as work:
        await decide_case(work, viewer, case_id, action="reopen", reason=body.reason)
    return CaseAccepted(case_id=case_id)
