"""Reading a city from the tables: all of it at once, and then what each refresh finds new."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from services.tracing.domain.city.block import Meetings, Stays, no_meetings, no_stays
from services.tracing.domain.city.city import Change, City, Ids, Rows, found_city, segment_days
from services.tracing.domain.city.numbers import Numbers, ids_from_bytes, ids_of
from services.tracing.domain.city.times import NEVER, day_start, instant, micros
from services.tracing.repository.journal import Head, head_sql
from shared.database.work import ReadSession

Array = NDArray[Any]
Row = TypeVar("Row")
# PostgreSQL counts from 2000-01-01 and says infinity by the largest number, as we do.
SINCE_2000 = 946_684_800_000_000
HEADER_BYTES, PIECE_BYTES = 19, 8 * 1024 * 1024
ID_FIELD = [("length", ">i4"), ("bytes", "u1", 16)]
TIME_FIELD = [("length", ">i4"), ("at", ">i8")]
STAY_RECORD = np.dtype(
    [("fields", ">i2"), ("person", ID_FIELD), ("place", ID_FIELD), ("arrived", TIME_FIELD),
     ("left", TIME_FIELD)]
)  # fmt: skip
MEETING_RECORD = np.dtype(
    [("fields", ">i2"), ("person", ID_FIELD), ("other", ID_FIELD), ("started", TIME_FIELD),
     ("seconds", TIME_FIELD)]
)  # fmt: skip

HEAD = text(f"SELECT {head_sql('tracing.journal')}")
JOURNAL = text("""
    SELECT DISTINCT batch_id, transaction_id FROM tracing.journal
    WHERE transaction_id >= :oldest
""")
PLACE_KINDS = text("SELECT place_id, kind FROM tracing.place")
MEMBERSHIPS = text("""
    SELECT person_id, group_id, group_kind, from_at AS arrived_at, until_at AS left_at
    FROM tracing.membership WHERE standing
""")

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
    memberships, group_kinds = await _numbered_memberships(
        session, MEMBERSHIPS, {}, ids, first=True
    )
    kinds = await _read_kinds(session, ids)
    for numbers in (ids.persons, ids.places, ids.groups):
        numbers.settle()
    rows = Rows(stays, memberships, encounters, kinds, group_kinds)
    # Sorting takes most of the time: not on the loop.
    city = await asyncio.to_thread(found_city, ids, rows, first_day=first_day)
    return city, Tail(head, seen)


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


class _Pieces:
    """Cuts what COPY sends into whole records, some megabytes at a time."""

    def __init__(self, record: np.dtype[Any], take: Callable[[Array], Awaitable[None]]) -> None:
        self._record, self._take = record, take
        self._rest = bytearray()
        self._begun = False

    async def add(self, piece: bytes) -> None:
        self._rest += piece
        if len(self._rest) >= PIECE_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Hand on every record that is whole; the end mark is shorter than any."""
        if not self._begun and len(self._rest) >= HEADER_BYTES:
            del self._rest[:HEADER_BYTES]
            self._begun = True
        count = len(self._rest) // self._record.itemsize
        if count:
            size = count * self._record.itemsize
            records = np.frombuffer(bytes(self._rest[:size]), dtype=self._record)
            del self._rest[:size]
            await self._take(records)


async def _read_stays(
    session: ReadSession, ids: Ids, first_day: int, progress: Callable[[int], None]
) -> list[tuple[int, Stays]]:
    days: dict[int, list[Stays]] = {}
    count = 0

    async def take(records: Array) -> None:
        nonlocal count
        # Beside the loop: the next piece arrives meanwhile, and people are answered.
        await asyncio.to_thread(number, records)
        count += len(records)
        progress(count)

    def number(records: Array) -> None:
        stays = Stays(
            ids.persons.first(ids_from_bytes(records["person"]["bytes"])),
            ids.places.first(ids_from_bytes(records["place"]["bytes"])),
            _times(records["arrived"]["at"]),
            _times(records["left"]["at"]),
        )
        of_day = segment_days(stays, first_day)
        for day in np.unique(of_day):
            days.setdefault(int(day), []).append(stays.where(of_day == day))

    start = instant(day_start(first_day)).isoformat()
    pieces = _Pieces(STAY_RECORD, take)
    await session.copy_out(
        "SELECT person_id, place_id, arrived_at, coalesce(left_at, 'infinity')"  # noqa: S608, a date
        f" FROM tracing.visit WHERE standing AND (arrived_at >= '{start}' OR left_at > '{start}')",
        pieces.add,
    )
    await pieces.flush()
    return [(day, _joined(parts)) for day, parts in days.items()]


async def _read_encounters(session: ReadSession, ids: Ids, first_day: int) -> Meetings:
    parts = [no_meetings()]

    async def take(records: Array) -> None:
        parts.append(
            Meetings(
                ids.persons.first(ids_from_bytes(records["person"]["bytes"])),
                ids.persons.first(ids_from_bytes(records["other"]["bytes"])),
                _times(records["started"]["at"]),
                records["seconds"]["at"].astype(np.int64),
            )
        )

    start = instant(day_start(first_day)).isoformat()
    pieces = _Pieces(MEETING_RECORD, take)
    await session.copy_out(
        "SELECT person_id, other_person_id, started_at, seconds"  # noqa: S608, a date
        f" FROM tracing.encounter WHERE standing AND started_at >= '{start}'",
        pieces.add,
    )
    await pieces.flush()
    columns = zip(
        *((one.person, one.other, one.started, one.seconds) for one in parts), strict=True
    )
    return Meetings(*(np.concatenate(column) for column in columns))


def _times(raw: Array) -> Array:
    at: Array = raw.astype(np.int64)
    at[at != NEVER] += SINCE_2000
    return at


def _joined(parts: Sequence[Stays]) -> Stays:
    columns = zip(*((one.person, one.place, one.arrived, one.left) for one in parts), strict=True)
    return Stays(*(np.concatenate(column) for column in columns))


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


def _number(numbers: Numbers, found: Sequence[UUID], *, first: bool) -> Array:
    ids = ids_of(found)
    return numbers.first(ids) if first else numbers.add(ids)


async def _numbered_stays(
    session: ReadSession, statement: Any, asked: dict[str, Any], ids: Ids
) -> Stays:
    rows = (await session.execute(statement, asked)).all()
    if not rows:
        return no_stays()
    return Stays(
        _number(ids.persons, [row.person_id for row in rows], first=False),
        _number(ids.places, [row.place_id for row in rows], first=False),
        *_from_until(rows),
    )


async def _numbered_memberships(
    session: ReadSession, statement: Any, asked: dict[str, Any], ids: Ids, *, first: bool = False
) -> tuple[Stays, dict[int, int]]:
    """Memberships as stays in groups, and the kinds of those groups."""
    rows = (await session.execute(statement, {"new": asked["new"]} if asked else {})).all()
    if not rows:
        return no_stays(), {}
    groups = _number(ids.groups, [row.group_id for row in rows], first=first)
    stays = Stays(
        _number(ids.persons, [row.person_id for row in rows], first=first),
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
        _number(ids.persons, [row.person_id for row in rows], first=False),
        _number(ids.persons, [row.other_person_id for row in rows], first=False),
        np.array([micros(row.started_at) for row in rows], dtype=np.int64),
        np.array([row.seconds for row in rows], dtype=np.int64),
    )


def _from_until(rows: Sequence[Any]) -> tuple[Array, Array]:
    arrived = np.array([micros(row.arrived_at) for row in rows], dtype=np.int64)
    left = [NEVER if row.left_at is None else micros(row.left_at) for row in rows]
    return arrived, np.array(left, dtype=np.int64)
