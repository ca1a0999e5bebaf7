"""Reading a city from the tables: all of it at once, and then what each refresh finds new."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from services.tracing.domain.city.block import (
    Meetings,
    Stays,
    all_meetings,
    all_stays,
    no_meetings,
    no_stays,
)
from services.tracing.domain.city.city import Change, City, CityRows, Ids, found_city, segment_days
from services.tracing.domain.city.numbers import ids_from_bytes, ids_of
from services.tracing.domain.city.times import NEVER, day_start, instant, micros
from services.tracing.repository.columns import Column, Rows, read_columns
from services.tracing.repository.journal import Head, head_sql
from shared.database.work import ReadSession

Array = NDArray[Any]
Row = TypeVar("Row")
# Sorting the days of a build: numpy and the loops hold no lock, and PostgreSQL has done its part.
SORTERS = 2

VISITS = (
    Column("person_id", "id"), Column("place_id", "id"),
    Column("arrived_at", "instant"), Column("left_at", "instant"),
)  # fmt: skip
MEMBERSHIPS = Rows(
    "tracing.membership",
    (
        Column("person_id", "id"), Column("group_id", "id"),
        Column("from_at", "instant"), Column("until_at", "instant"),
    ),
    "standing",
    key="group_kind",
)  # fmt: skip
ENCOUNTERS = (
    Column("person_id", "id"), Column("other_person_id", "id"),
    Column("started_at", "instant"), Column("seconds", "number"),
)  # fmt: skip

HEAD = text(f"SELECT {head_sql('tracing.journal')}")
JOURNAL = text("""
    SELECT DISTINCT batch_id, transaction_id FROM tracing.journal
    WHERE transaction_id >= :oldest
""")
PLACE_KINDS = text("SELECT place_id, kind FROM tracing.place")

NEW_VISITS = text("""
    SELECT person_id, place_id, arrived_at, left_at FROM tracing.visit
    WHERE batch_id = ANY(CAST(:new AS uuid[])) AND standing
        AND (arrived_at >= :since OR left_at > :since)
""")
# What the city had of a row that this refresh finds changed: the version whose batch is not new.
GONE_VISITS = text("""
    SELECT person_id, place_id, arrived_at, left_at FROM tracing.visit_past
    WHERE replaced_by = ANY(CAST(:new AS uuid[])) AND standing
        AND NOT batch_id = ANY(CAST(:new AS uuid[]))
        AND (arrived_at >= :since OR left_at > :since)
""")
NEW_MEMBERSHIPS = text("""
    SELECT person_id, group_id, group_kind, from_at AS arrived_at, until_at AS left_at
    FROM tracing.membership WHERE batch_id = ANY(CAST(:new AS uuid[])) AND standing
""")
GONE_MEMBERSHIPS = text("""
    SELECT person_id, group_id, group_kind, from_at AS arrived_at, until_at AS left_at
    FROM tracing.membership_past
    WHERE replaced_by = ANY(CAST(:new AS uuid[])) AND standing
        AND NOT batch_id = ANY(CAST(:new AS uuid[]))
""")
NEW_ENCOUNTERS = text("""
    SELECT person_id, other_person_id, started_at, seconds FROM tracing.encounter
    WHERE batch_id = ANY(CAST(:new AS uuid[])) AND standing AND started_at >= :since
""")
GONE_ENCOUNTERS = text("""
    SELECT person_id, other_person_id, started_at, seconds FROM tracing.encounter_past
    WHERE replaced_by = ANY(CAST(:new AS uuid[])) AND standing AND started_at >= :since
        AND NOT batch_id = ANY(CAST(:new AS uuid[]))
""")
NEW_PLACE_KINDS = text("""
    SELECT place_id, kind FROM tracing.place
    WHERE batch_id = ANY(CAST(:new AS uuid[])) OR place_id = ANY(CAST(:unknown AS uuid[]))
""")


@dataclass(frozen=True, slots=True)
class Tail:
    """What a city has of the journal. `seen` are batches of transactions from `head.oldest` on."""

    head: Head
    seen: dict[UUID, int]


async def read_head(session: ReadSession) -> Head:
    row = (await session.execute(HEAD)).one()
    return Head(row.oldest, row.newest, row.journal)


async def read_city(
    session: ReadSession, *, first_day: int, progress: Callable[[int], None]
) -> tuple[City, Tail]:
    """The whole city from `first_day` on, in one snapshot; `progress` is told rows read so far."""
    head = await read_head(session)
    seen = await _journal(session, head.oldest)
    ids = Ids()
    stays = await _read_stays(session, ids, first_day, progress)
    encounters = await _read_encounters(session, ids, first_day)
    memberships, group_kinds = await _read_memberships(session, ids)
    kinds = await _read_kinds(session, ids)
    for numbers in (ids.persons, ids.places, ids.groups):
        numbers.settle()
    rows = CityRows(stays, memberships, encounters, kinds, group_kinds)

    def found() -> City:
        with ThreadPoolExecutor(SORTERS, "city") as sorters:
            return found_city(ids, rows, first_day=first_day, each=sorters.map)

    return await asyncio.to_thread(found), Tail(head, seen)


async def read_change(session: ReadSession, city: City, tail: Tail) -> tuple[Change | None, Tail]:
    """What was committed since; None when nothing was. `LookupError` when the tail is broken."""
    head = await read_head(session)
    if not head.follows(tail.head):
        raise LookupError("the database is another one than the city was read from")
    found = await _journal(session, tail.head.oldest)
    new = [batch_id for batch_id in found if batch_id not in tail.seen]
    seen = {batch_id: number for batch_id, number in found.items() if number >= head.oldest}
    if not new:
        return None, Tail(head, seen)
    ids, known = city.ids, len(city.kind_of_place)
    asked = {"new": new, "since": instant(day_start(city.first_day))}
    new_stays = await _numbered_stays(session, NEW_VISITS, asked, ids)
    gone_stays = await _numbered_stays(session, GONE_VISITS, asked, ids)
    joined, new_kinds = await _numbered_memberships(session, NEW_MEMBERSHIPS, asked, ids)
    left, _ = await _numbered_memberships(session, GONE_MEMBERSHIPS, asked, ids)
    unknown = [ids.places.id_of(number) for number in range(known, ids.places.count)]
    change = Change(
        gone=gone_stays,
        new=new_stays,
        left_groups=left,
        joined_groups=joined,
        gone_encounters=await _numbered_encounters(session, GONE_ENCOUNTERS, asked, ids),
        new_encounters=await _numbered_encounters(session, NEW_ENCOUNTERS, asked, ids),
        place_kinds=await _new_kinds(session, new, unknown, ids),
        group_kinds=new_kinds,
    )
    return change, Tail(head, seen)


async def _journal(session: ReadSession, oldest: int) -> dict[UUID, int]:
    rows = await session.execute(JOURNAL, {"oldest": oldest})
    return {row.batch_id: row.transaction_id for row in rows}


async def _read_stays(
    session: ReadSession, ids: Ids, first_day: int, progress: Callable[[int], None]
) -> dict[int, list[Stays]]:
    days: dict[int, list[Stays]] = {}

    def take(_: str, columns: list[Array]) -> None:
        person, place, arrived, left = columns
        stays = Stays(
            ids.persons.first(ids_from_bytes(person)),
            ids.places.first(ids_from_bytes(place)),
            arrived,
            left,
        )
        of_day = segment_days(stays, first_day)
        for day in np.unique(of_day):
            days.setdefault(int(day), []).append(stays.where(of_day == day))

    start = instant(day_start(first_day)).isoformat()
    reaching = f"standing AND (arrived_at >= '{start}' OR left_at > '{start}')"
    await read_columns(session, Rows("tracing.visit", VISITS, reaching), take, progress)
    return days


async def _read_encounters(session: ReadSession, ids: Ids, first_day: int) -> Meetings:
    parts = [no_meetings()]

    def take(_: str, columns: list[Array]) -> None:
        person, other, started, seconds = columns
        parts.append(
            Meetings(
                ids.persons.first(ids_from_bytes(person)),
                ids.persons.first(ids_from_bytes(other)),
                started,
                seconds,
            )
        )

    start = instant(day_start(first_day)).isoformat()
    since = f"standing AND started_at >= '{start}'"
    await read_columns(session, Rows("tracing.encounter", ENCOUNTERS, since), take)
    return all_meetings(parts)


async def _read_memberships(session: ReadSession, ids: Ids) -> tuple[Stays, dict[int, int]]:
    """Memberships as stays in groups, and the kinds of those groups."""
    parts, kinds = [no_stays()], {}

    def take(kind: str, columns: list[Array]) -> None:
        person, group, since, until = columns
        groups = ids.groups.first(ids_from_bytes(group))
        parts.append(Stays(ids.persons.first(ids_from_bytes(person)), groups, since, until))
        kinds.update(dict.fromkeys(groups.tolist(), ids.kind(kind)))

    await read_columns(session, MEMBERSHIPS, take)
    return all_stays(parts), kinds


async def _read_kinds(session: ReadSession, ids: Ids) -> dict[int, int]:
    rows = (await session.execute(PLACE_KINDS)).all()
    return _numbered_kinds(rows, ids)


def _numbered_kinds(rows: Sequence[Any], ids: Ids) -> dict[int, int]:
    numbers = ids.places.find(ids_of([row.place_id for row in rows]))
    return {
        number: ids.kind(row.kind)
        for number, row in zip(numbers.tolist(), rows, strict=True)
        if number >= 0
    }


async def _new_kinds(
    session: ReadSession, new: Sequence[UUID], unknown: Sequence[UUID], ids: Ids
) -> dict[int, int]:
    """Also of places that were registered long ago and are visited for the first time now."""
    rows = (await session.execute(NEW_PLACE_KINDS, {"new": new, "unknown": unknown})).all()
    return _numbered_kinds(rows, ids)


async def _numbered_stays(
    session: ReadSession, statement: Any, asked: dict[str, Any], ids: Ids
) -> Stays:
    rows = (await session.execute(statement, asked)).all()
    if not rows:
        return no_stays()
    return Stays(
        ids.persons.add(ids_of([row.person_id for row in rows])),
        ids.places.add(ids_of([row.place_id for row in rows])),
        *_from_until(rows),
    )


async def _numbered_memberships(
    session: ReadSession, statement: Any, asked: dict[str, Any], ids: Ids
) -> tuple[Stays, dict[int, int]]:
    """Memberships as stays in groups, and the kinds of those groups."""
    rows = (await session.execute(statement, {"new": asked["new"]})).all()
    if not rows:
        return no_stays(), {}
    groups = ids.groups.add(ids_of([row.group_id for row in rows]))
    stays = Stays(
        ids.persons.add(ids_of([row.person_id for row in rows])),
        groups,
        *_from_until(rows),
    )
    kinds = {
        number: ids.kind(row.group_kind) for number, row in zip(groups.tolist(), rows, strict=True)
    }
    return stays, kinds


async def _numbered_encounters(
    session: ReadSession, statement: Any, asked: dict[str, Any], ids: Ids
) -> Meetings:
    rows = (await session.execute(statement, asked)).all()
    if not rows:
        return no_meetings()
    return Meetings(
        ids.persons.add(ids_of([row.person_id for row in rows])),
        ids.persons.add(ids_of([row.other_person_id for row in rows])),
        np.array([micros(row.started_at) for row in rows], dtype=np.int64),
        np.array([row.seconds for row in rows], dtype=np.int64),
    )


def _from_until(rows: Sequence[Any]) -> tuple[Array, Array]:
    arrived = np.array([micros(row.arrived_at) for row in rows], dtype=np.int64)
    left = [NEVER if row.left_at is None else micros(row.left_at) for row in rows]
    return arrived, np.array(left, dtype=np.int64)
