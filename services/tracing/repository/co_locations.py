"""Co-locations as they were last decided, and the meetings that they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Uuid, cast, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.tracing.domain.co_location import Meeting
from services.tracing.repository.exposure_sql import met_at_place_sql
from services.tracing.tables import decisions
from shared.database.work import Work
from shared.policy import Reader

CasePlace = tuple[UUID, UUID]

_KEYS = """
    wanted AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:case_ids AS uuid[]), CAST(:place_ids AS uuid[]))
            AS wanted (case_id, place_id)
    )
"""
# The rule itself is the one of close contacts (`exposure_sql`); the stays were cut to the window,
# and found long enough, when the case was judged.
MEETINGS_AT = text(
    f"""
    WITH {_KEYS}, own_visit AS MATERIALIZED (
        SELECT presence.case_id, presence.person_id AS source_id, presence.visit_id AS id,
            presence.visit_version AS version, presence.place_id, presence.place_kind AS kind,
            presence.minimum_seconds, presence.dwell_seconds, place.longest_seconds,
            presence.from_at, presence.until_at
        FROM wanted JOIN tracing.presence USING (case_id, place_id)
        JOIN tracing."case" ON "case".id = presence.case_id
            AND "case".person_id = presence.person_id
        JOIN tracing.place ON place.place_id = presence.place_id
    ), {met_at_place_sql(evidence=True, cases=True)}
    SELECT * FROM met_at_place
    """  # noqa: S608 - put together from constants
)
STORED_AT = text(
    f"""
    WITH {_KEYS}
    SELECT id, case_id, version, standing, digest
    FROM wanted JOIN tracing.co_location USING (case_id, place_id)
    """  # noqa: S608 - put together from constants
)
AREAS_OF = text("""
    SELECT place_id, area_id FROM tracing.place WHERE place_id = ANY(CAST(:place_ids AS uuid[]))
""")


def co_location_key(case_id: UUID, place_id: UUID) -> str:
    """What the evaluator of co-locations is woken by."""
    return f"{case_id}/{place_id}"


def parse_co_location_key(key: str) -> CasePlace:
    case_id, _, place_id = key.partition("/")
    return UUID(case_id), UUID(place_id)


async def meetings_at(reader: Reader, pairs: Sequence[CasePlace]) -> list[Meeting]:
    """Every visit of somebody else that meets these cases at these places."""
    rows = await reader.execute(MEETINGS_AT, _wanted(pairs))
    return [
        Meeting(
            case_id=row.case_id,
            place_id=row.place_id,
            place_kind=row.kind or None,
            person_id=row.other_id,
            visit_id=row.id,
            visit_version=row.version,
            own_id=row.own_id,
            own_version=row.own_version,
            from_at=row.from_at,
            until_at=row.until_at,
            seconds=float(row.seconds),
        )
        for row in rows
    ]


async def stored_at(reader: Reader, pairs: Sequence[CasePlace]) -> dict[UUID, Row[Any]]:
    """By id: case, version, standing and digest of all that ever were there."""
    rows = await reader.execute(STORED_AT, _wanted(pairs))
    return {row.id: row for row in rows}


async def load_co_locations(reader: Reader, record_ids: Sequence[UUID]) -> list[Row[Any]]:
    table = decisions.co_location
    these = func.any(cast(list(record_ids), ARRAY(Uuid)))
    rows = await reader.execute(select(table).where(table.c.id == these).order_by(table.c.id))
    return list(rows.all())


async def areas_of(reader: Reader, place_ids: Sequence[UUID]) -> dict[UUID, str | None]:
    """Where these places lie, as they were registered."""
    rows = await reader.execute(AREAS_OF, {"place_ids": place_ids})
    return {row.place_id: row.area_id for row in rows}


async def save_co_locations(work: Work, rows: Sequence[dict[str, Any]]) -> None:
    """New versions in place of the last."""
    if not rows:
        return
    table = decisions.co_location
    statement = insert(table)
    await work.execute(
        statement.on_conflict_do_update(
            index_elements=[table.c.id],
            set_={name: statement.excluded[name] for name in rows[0] if name != "id"},
        ),
        rows,
    )


def _wanted(pairs: Sequence[CasePlace]) -> dict[str, list[UUID]]:
    return {
        "case_ids": [case_id for case_id, _ in pairs],
        "place_ids": [place_id for _, place_id in pairs],
    }
