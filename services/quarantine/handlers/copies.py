"""Stores what others say and passes on whom it touches; decides nothing.

Facts that look for each other (a contact and its case, a person's residence and their contact) are
each stored first; the keys due after the commit find the other side, whichever came second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar
from uuid import UUID

from services.quarantine.domain.facts import ScanFact
from services.quarantine.repository.copies import (
    lock_cases,
    persons_in_areas,
    persons_of_cases,
    persons_with_disease,
    persons_with_facts,
    store_newest,
    store_scans,
)
from services.quarantine.repository.policies import MEASURES
from services.quarantine.tables import case_copy, contact_copy, person_copy, standard
from shared.areas import store_areas
from shared.database.work import Work
from shared.events.base import Event
from shared.events.intake import AreaChanged, PersonChanged, ScanRecorded
from shared.events.policy import PolicyChanged
from shared.events.tracing import CaseChanged, ContactChanged

ANY_DISEASE = "*"
# What the order of a contact takes from the case.
OF_CONTACTS = ("person_id", "disease", "reported_at", "area_id")
Told = TypeVar("Told", bound=Event)


def newest(events: Iterable[Told]) -> list[Told]:
    """The highest version of each record; an exercise never enters real orders."""
    found: dict[UUID, Told] = {}
    for event in events:
        known = found.get(event.record_id)
        if not event.exercise and (known is None or known.record_version < event.record_version):
            found[event.record_id] = event
    return list(found.values())


async def hear_contacts(work: Work, events: Sequence[ContactChanged]) -> None:
    """Keep the contacts; their persons are due."""
    told = newest(events)
    if not told:
        return
    rows = [
        {
            "id": event.record_id,
            "version": event.record_version,
            "person_id": event.person_id,
            "case_id": event.case_id,
            "degree": event.degree,
            "disease": event.disease,
            "last_exposure_at": event.last_exposure_at,
            "standing": event.standing,
        }
        for event in told
    ]
    await store_newest(work, contact_copy, rows)
    work.due("person", (str(event.person_id) for event in told))


async def hear_cases(work: Work, events: Sequence[CaseChanged]) -> None:
    """Keep the cases; their persons are due, and everybody exposed to them where they tell other
    than before what an order of a contact rests on. Whether the contact stands it says itself."""
    told = newest(events)
    if not told:
        return
    rows = [
        {
            "id": event.record_id,
            "version": event.record_version,
            "person_id": event.person_id,
            "disease": event.disease,
            "classification": event.classification,
            "standing": event.standing,
            # A case without a dated report counts from the earliest date that made it one.
            "reported_at": event.reported_at or event.occurred_at,
            "area_id": event.area_id,
        }
        for event in told
    ]
    known = await lock_cases(work, [event.record_id for event in told])
    await store_newest(work, case_copy, rows)
    for event, row in zip(told, rows, strict=True):
        before = known.get(event.record_id)
        if before is None or any(row[name] != getattr(before, name) for name in OF_CONTACTS):
            work.due("case", [str(event.record_id)])
        else:
            work.due("person", [str(event.person_id)])


async def hear_persons(work: Work, events: Sequence[PersonChanged]) -> None:
    """Keep where persons live."""
    told = newest(events)
    if not told:
        return
    rows = [
        {
            "person_id": event.person_id,
            "version": event.record_version,
            "residence_area_id": event.residence_area_id,
        }
        for event in told
    ]
    await store_newest(work, person_copy, rows)
    work.due("resident", (str(event.person_id) for event in told))


async def hear_scans(work: Work, events: Sequence[ScanRecorded]) -> None:
    """Keep every scan, also of persons not under order: a late order will judge them."""
    told = newest(events)
    if not told:
        return
    scans = [
        ScanFact(
            id=event.record_id,
            version=event.record_version,
            person_id=event.person_id,
            place_id=event.place_id,
            place_kind=event.place_kind,
            area_id=event.place_area_id,
            occurred_at=event.occurred_at,
            permitted=event.permit is not None,
            recorded=event.status == "recorded",
        )
        for event in told
    ]
    await store_scans(work, scans)
    work.due("scanned", (str(scan.id) for scan in scans))


async def hear_areas(work: Work, events: Sequence[AreaChanged]) -> None:
    """Keep the tree; a zone or a parent that comes late may change a day or a policy."""
    work.due("area", await store_areas(work, standard, events))


async def hear_policies(work: Work, events: Sequence[PolicyChanged]) -> None:
    """Our own documents came or changed: who has or had their disease is due."""
    own = [event for event in events if event.owner == work.service and event.kind == MEASURES.name]
    work.due("policy", (event.disease or ANY_DISEASE for event in own))


async def touch_case(work: Work, keys: Sequence[str]) -> None:
    work.due("person", map(str, await persons_of_cases(work, [UUID(key) for key in keys])))


async def touch_resident(work: Work, keys: Sequence[str]) -> None:
    work.due("person", map(str, await persons_with_facts(work, [UUID(key) for key in keys])))


async def touch_area(work: Work, keys: Sequence[str]) -> None:
    work.due("person", map(str, await persons_in_areas(work, keys)))


async def touch_disease(work: Work, keys: Sequence[str]) -> None:
    for key in keys:
        disease = None if key == ANY_DISEASE else key
        work.due("person", map(str, await persons_with_disease(work, disease)))
