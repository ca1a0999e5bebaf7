"""This service's copies of places, persons and cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Table, select

from services.alerts.tables import case, household, person, place
from shared.database.rows import upsert
from shared.database.work import Work
from shared.events.base import Event
from shared.events.intake import MembershipDeclared, PersonChanged, PlaceChanged
from shared.events.tracing import CaseChanged
from shared.policy import Reader

Known = TypeVar("Known", bound=Event)


async def store_places(work: Work, events: Sequence[PlaceChanged]) -> None:
    """Keep the newest version of each place."""
    rows = [
        {
            "place_id": event.record_id,
            "version": event.record_version,
            "kind": event.kind,
            "area_id": event.area_id,
        }
        for event in _newest(events)
    ]
    await _store(work, place, rows)


async def store_persons(work: Work, events: Sequence[PersonChanged]) -> None:
    """Keep where each person lives, as last registered."""
    rows = [
        {
            "person_id": event.record_id,
            "version": event.record_version,
            "residence_area_id": event.residence_area_id,
        }
        for event in _newest(events)
    ]
    await _store(work, person, rows)


async def store_cases(work: Work, events: Sequence[CaseChanged]) -> None:
    """Keep the newest version of each case: whether it stands, why not, what was set aside."""
    rows = [
        {
            "case_id": event.record_id,
            "version": event.record_version,
            "event_id": event.event_id,
            "standing": event.standing,
            "set_aside": [item.id for item in event.set_aside],
            "reason": event.reason,
        }
        for event in _newest(events)
    ]
    await _store(work, case, rows)


async def store_households(work: Work, events: Sequence[MembershipDeclared]) -> None:
    """Keep the newest version of each household membership; a withdrawn one no longer stands."""
    rows = [
        {
            "membership_id": event.record_id,
            "version": event.record_version,
            "person_id": event.person_id,
            "group_id": event.group_id,
            "from_at": event.occurred_at,
            "until_at": event.until_at,
            "standing": event.status == "recorded" and not event.exercise,
        }
        for event in _newest(events)
    ]
    await _store(work, household, rows)


async def members_before(reader: Reader, events: Sequence[MembershipDeclared]) -> set[UUID]:
    """Whose the stored versions of these memberships are: a correction may name somebody else."""
    rows = await reader.execute(
        select(household.c.person_id).where(
            household.c.membership_id.in_([event.record_id for event in events])
        )
    )
    return {row.person_id for row in rows}


async def _store(work: Work, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    await upsert(work, table, rows, newer="version")


def _newest(events: Sequence[Known]) -> list[Known]:
    by_version = sorted(events, key=lambda event: event.record_version)
    newest = {event.record_id: event for event in by_version}
    return [newest[record_id] for record_id in sorted(newest)]
