"""Stores where people were, with whom, and in which groups. Judging follows the commit.

A drill's movement (`exercise`) is kept but does not stand: it must never make a real contact.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.tracing.domain.watched import Stayed
from services.tracing.handlers.watch import at_hand
from services.tracing.repository.facts import store_newer
from services.tracing.repository.journal import note_batch
from services.tracing.repository.places import see_places, store_places
from services.tracing.tables import facts
from shared.database.work import Work
from shared.events.intake import (
    EncounterMeasured,
    MembershipDeclared,
    PlaceChanged,
    ScanRecorded,
)
from shared.ids import new_id

UNKNOWN = "unknown"


async def store_scans(work: Work, scans: Sequence[ScanRecorded]) -> None:
    """Scans become visits; one due key stands for the whole batch."""
    batch_id = new_id()
    stored = await store_newer(
        work,
        facts.visit,
        [
            {
                "id": scan.record_id,
                "version": scan.record_version,
                "person_id": scan.person_id,
                "place_id": scan.place_id,
                "arrived_at": scan.occurred_at,
                "left_at": scan.left_at,
                "standing": _stands(scan),
                "recorded_at": scan.recorded_at,
                "batch_id": batch_id,
            }
            for scan in scans
        ],
    )
    if not stored.changed:
        return
    visits = [
        Stayed(scan.record_id, scan.person_id, scan.place_id, scan.occurred_at, scan.left_at)
        for scan in scans
        if scan.person_id is not None and _stands(scan)
    ]
    at_hand(work).note(batch_id, visits, revising=bool(stored.replaced))
    await note_batch(work, batch_id, "visits")
    kinds_changed = await see_places(
        work,
        batch_id,
        [
            {
                "place_id": scan.place_id,
                "kind": _kind(scan.place_kind),
                "seconds": max((scan.left_at - scan.occurred_at).total_seconds(), 0.0)
                if scan.left_at
                else 0.0,
            }
            for scan in scans
        ],
    )
    work.due("visits", [str(batch_id)])
    work.due("place", map(str, kinds_changed))
    # Who was judged by a visit that reads otherwise now: its person, and whom it was held against.
    work.due("place", (str(old["place_id"]) for old in stored.replaced))
    work.due("person", (str(old["person_id"]) for old in stored.replaced if old["person_id"]))


async def store_encounters(work: Work, encounters: Sequence[EncounterMeasured]) -> None:
    """Measured proximity of two persons, from `occurred_at` for so many seconds."""
    batch_id = new_id()
    stored = await store_newer(
        work,
        facts.encounter,
        [
            {
                "id": item.record_id,
                "version": item.record_version,
                "person_id": item.person_id,
                "other_person_id": item.other_person_id,
                "started_at": item.occurred_at,
                "seconds": item.duration_seconds,
                "standing": item.status == "recorded" and not item.exercise,
                "recorded_at": item.recorded_at,
                "batch_id": batch_id,
            }
            for item in encounters
        ],
    )
    if stored.changed:
        await note_batch(work, batch_id, "encounters")
        work.due("encounters", [str(batch_id)])
    work.due("person", (str(person_id) for old in stored.replaced for person_id in old.values()))


async def store_memberships(work: Work, memberships: Sequence[MembershipDeclared]) -> None:
    """Persons in groups: households, carriages, flights, classes."""
    batch_id = new_id()
    stored = await store_newer(
        work,
        facts.membership,
        [
            {
                "id": item.record_id,
                "version": item.record_version,
                "person_id": item.person_id,
                "group_id": item.group_id,
                "group_kind": item.group_kind,
                "from_at": item.occurred_at,
                "until_at": item.until_at,
                "standing": item.status == "recorded" and not item.exercise,
                "recorded_at": item.recorded_at,
                "batch_id": batch_id,
            }
            for item in memberships
        ],
    )
    if not stored.changed:
        return
    await note_batch(work, batch_id, "memberships")
    work.due("person", (str(item.person_id) for item in memberships))
    work.due("group", (str(item.group_id) for item in memberships))
    work.due("person", (str(old["person_id"]) for old in stored.replaced))
    work.due("group", (str(old["group_id"]) for old in stored.replaced))


async def store_place_copies(work: Work, places: Sequence[PlaceChanged]) -> None:
    """The kind of a place decides what counts there."""
    batch_id = new_id()
    changed = await store_places(
        work,
        batch_id,
        [
            {
                "place_id": place.record_id,
                "version": place.record_version,
                "kind": _kind(place.kind),
                "area_id": place.area_id,
            }
            for place in places
        ],
    )
    # Also where no kind changed: the row names this batch now, and not the one that made it.
    await note_batch(work, batch_id, "places")
    work.due("place", map(str, changed))


def _stands(scan: ScanRecorded) -> bool:
    """Without a person it is nobody's visit; a correction may still name one."""
    return scan.status == "recorded" and scan.person_id is not None and not scan.exercise


def _kind(kind: str) -> str:
    """Unknown is the least of all kinds, so that a known one replaces it."""
    return "" if kind == UNKNOWN else kind
