"""POST doors for rows: scans, reports, encounters, memberships, results.

One row or an array of up to 1,000; the answer names a fate for each row, after the commit.
"""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from fastapi import Request, Response

from services.intake.api.body import desk_of, read_body, source_of
from services.intake.handlers.batches import Delivery, RowDoor
from services.intake.handlers.encounters import EncounterDoor
from services.intake.handlers.gathering import Gathering
from services.intake.handlers.memberships import MembershipDoor
from services.intake.handlers.reports import ReportDoor
from services.intake.handlers.results import ResultDoor
from services.intake.handlers.scans import ScanDoor
from services.intake.schemas.rows import (
    READ_ENCOUNTERS,
    READ_MEMBERSHIPS,
    READ_REPORTS,
    READ_RESULTS,
    READ_SCANS,
    ReadRows,
)
from services.intake.settings import BODY_BYTES_MAX
from shared.http import Door, room_of, viewer_of

door = Door("/intake", tag="rows")

SCANS, REPORTS, ENCOUNTERS = ScanDoor(), ReportDoor(), EncounterDoor()
MEMBERSHIPS, RESULTS = MembershipDoor(), ResultDoor()


async def _take(
    request: Request, row_door: RowDoor[Any], read: ReadRows, source: UUID | None
) -> Response:
    source_id = await source_of(request, source)
    body = await read_body(request, BODY_BYTES_MAX)
    delivery = Delivery(source_id, viewer_of(request).subject, body, read(body))
    with room_of(request).pressure.of_rows(len(delivery.rows)):
        reply = await _gathering_of(request, row_door).take(delivery)
    return Response(reply, 202, media_type="application/json")


def _gathering_of(request: Request, row_door: RowDoor[Any]) -> Gathering:
    """The one of this process and door."""
    extras, name = room_of(request).extras, f"intake.gathering.{row_door.name}"
    if name not in extras:
        extras[name] = Gathering(desk_of(request), row_door)
    return cast(Gathering, extras[name])


@door.on("POST", "/scans", permission="scans.write", area_scope="source", status_code=202)
async def post_scans(request: Request, source: UUID | None = None) -> Response:
    """Scans; each row is answered with a verdict: pass, check or hold."""
    return await _take(request, SCANS, READ_SCANS, source)


@door.on("POST", "/reports", permission="reports.write", area_scope="source", status_code=202)
async def post_reports(request: Request, source: UUID | None = None) -> Response:
    """Sentinel reports."""
    return await _take(request, REPORTS, READ_REPORTS, source)


@door.on("POST", "/encounters", permission="encounters.write", area_scope="source", status_code=202)
async def post_encounters(request: Request, source: UUID | None = None) -> Response:
    """Measured proximity."""
    return await _take(request, ENCOUNTERS, READ_ENCOUNTERS, source)


@door.on(
    "POST", "/memberships", permission="memberships.write", area_scope="source", status_code=202
)
async def post_memberships(request: Request, source: UUID | None = None) -> Response:
    """Who belongs to which group."""
    return await _take(request, MEMBERSHIPS, READ_MEMBERSHIPS, source)


@door.on("POST", "/results", permission="results.write", area_scope="source", status_code=202)
async def post_results(request: Request, source: UUID | None = None) -> Response:
    """Laboratory results."""
    return await _take(request, RESULTS, READ_RESULTS, source)
