"""The own stays of standing cases as the table has them, how their changes are followed, and which
visits meet them.

A change is one row per case and transaction. Whoever follows asks for those not older than the
oldest transaction that ran when it last looked, as the city does: no slow transaction is lost. A
case found changed is read whole, so reading one twice does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.tracing.domain.watched import OwnStay
from services.tracing.repository.flagged import MET
from services.tracing.repository.journal import Head, head_sql
from shared.policy import Reader

Change = tuple[UUID, int]
# Case, place, visit of another.
Met = tuple[UUID, UUID, UUID]

# One statement, one snapshot: where it stands, and what stands in it.
CHANGES = text(
    f"""
    SELECT head.*, change.case_id, change.transaction_id
    FROM (SELECT {head_sql("tracing.presence_change")}) AS head
    LEFT JOIN tracing.presence_change AS change
        ON change.transaction_id >= COALESCE(CAST(:oldest AS bigint), head.oldest)
    """  # noqa: S608 - a name of our own
)

OWN = """
    tracing.presence JOIN tracing."case"
        ON "case".id = presence.case_id AND "case".person_id = presence.person_id
"""
ALL_OWN_STAYS = text(f"SELECT presence.* FROM {OWN} LIMIT :most")  # noqa: S608
OWN_STAYS_OF = text(
    f"""
    SELECT presence.* FROM {OWN} WHERE presence.case_id = ANY(CAST(:case_ids AS uuid[]))
    """  # noqa: S608 - put together from constants
)
OWN_PLACES = text(
    f"SELECT DISTINCT place_id FROM {OWN} WHERE presence.case_id = :case_id"  # noqa: S608
)

# What batches wrote and what they wrote over: both may share a place with a case.
_WRITTEN = """
    SELECT id, person_id, place_id, arrived_at, left_at FROM tracing.visit
    WHERE batch_id = ANY(CAST(:written AS uuid[])) AND standing
    UNION ALL
    SELECT id, person_id, place_id, arrived_at, left_at FROM tracing.visit_past
    WHERE replaced_by = ANY(CAST(:revising AS uuid[])) AND standing
"""
MET_IN_TABLES = text(
    f"""
    WITH visit AS MATERIALIZED ({_WRITTEN}), met_case AS (
        SELECT DISTINCT presence.case_id, presence.person_id, presence.place_id, visit.id FROM {MET}
    )
    SELECT met_case.case_id, met_case.place_id, met_case.id FROM met_case JOIN tracing."case"
        ON "case".id = met_case.case_id AND "case".person_id = met_case.person_id
    """  # noqa: S608 - put together from constants
)


@dataclass(frozen=True, slots=True)
class Position:
    """How far somebody has followed. `seen` are changes by transactions from `head.oldest` on."""

    head: Head
    seen: frozenset[Change]


async def read_changes(
    reader: Reader, before: Position | None
) -> tuple[Position, frozenset[Change]]:
    """(where the tail stands now, the changes that were not seen before)."""
    oldest = before.head.oldest if before else None
    rows = (await reader.execute(CHANGES, {"oldest": oldest})).all()
    head = Head(rows[0].oldest, rows[0].newest, rows[0].journal)
    found = frozenset((row.case_id, row.transaction_id) for row in rows if row.case_id is not None)
    seen = frozenset(change for change in found if change[1] >= head.oldest)
    return Position(head, seen), found - (before.seen if before else frozenset())


async def all_own_stays(reader: Reader, *, most: int) -> dict[UUID, list[OwnStay]]:
    """By case; one more than `most` of them says that there are more."""
    rows = (await reader.execute(ALL_OWN_STAYS, {"most": most + 1})).all()
    return _by_case(rows)


async def own_stays_of(reader: Reader, case_ids: Sequence[UUID]) -> dict[UUID, list[OwnStay]]:
    """By case; a case that stayed nowhere is there too."""
    rows = (await reader.execute(OWN_STAYS_OF, {"case_ids": case_ids})).all()
    return {case_id: [] for case_id in case_ids} | _by_case(rows)


async def own_places(reader: Reader, case_id: UUID) -> list[UUID]:
    """Where the person of a case stayed in its window."""
    return [row.place_id for row in await reader.execute(OWN_PLACES, {"case_id": case_id})]


async def met_in_tables(
    reader: Reader, written: Sequence[UUID], revising: Sequence[UUID]
) -> set[Met]:
    """Where a visit that the `written` batches wrote, or one that the `revising` ones wrote over,
    meets a case."""
    rows = await reader.execute(MET_IN_TABLES, {"written": written, "revising": revising})
    return {(row.case_id, row.place_id, row.id) for row in rows}


def _by_case(rows: Sequence[Any]) -> dict[UUID, list[OwnStay]]:
    """Ids and figures that say the same are the same objects: they are most of the memory."""
    found: dict[UUID, list[OwnStay]] = {}
    ids: dict[UUID, UUID] = {}
    times: dict[float, timedelta] = {}
    for row in rows:
        stay = OwnStay(
            case_id=ids.setdefault(row.case_id, row.case_id),
            person_id=ids.setdefault(row.person_id, row.person_id),
            place_id=ids.setdefault(row.place_id, row.place_id),
            from_at=row.from_at,
            until_at=row.until_at,
            minimum=_seconds(times, row.minimum_seconds),
            dwell=_seconds(times, row.dwell_seconds),
        )
        found.setdefault(stay.case_id, []).append(stay)
    return found


def _seconds(known: dict[float, timedelta], seconds: float) -> timedelta:
    return known.setdefault(seconds, timedelta(seconds=seconds))
