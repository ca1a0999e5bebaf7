"""Co-locations as they were last decided, and the meetings that they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, Uuid, cast, func, text
from sqlalchemy.dialects.postgresql import ARRAY

from services.tracing.domain.co_location import Meeting
from services.tracing.repository.contacts import WITHDRAWN
from services.tracing.repository.documents import read_rows, select_as_text, written
from services.tracing.repository.exposure_sql import met_at_place_sql
from services.tracing.repository.flagged import MET
from services.tracing.tables import decisions
from shared.database.rows import update, upsert
from shared.database.work import Work
from shared.policy import Reader

# Without a visit: all that ever were at the place.
Key = tuple[UUID, UUID, UUID | None]

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
# The same for single visits: at a station where a case works, nobody reads a week of them for one.
_VISITS = """
    wanted AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:case_ids AS uuid[]), CAST(:place_ids AS uuid[]), CAST(:visit_ids AS uuid[])
        ) AS wanted (case_id, place_id, visit_id)
    )
"""
MEETINGS_OF = text(
    f"""
    WITH {_VISITS}, visit AS MATERIALIZED (
        SELECT wanted.case_id, visit.*
        FROM wanted JOIN tracing.visit ON visit.id = wanted.visit_id AND visit.standing
            AND visit.place_id = wanted.place_id
    )
    SELECT visit.case_id, visit.place_id, presence.place_kind AS kind, visit.person_id AS other_id,
        visit.id, visit.version, presence.visit_id AS own_id,
        presence.visit_version AS own_version, met.from_at, met.until_at,
        extract(epoch FROM met.until_at - met.from_at) AS seconds
    FROM {MET} AND presence.case_id = visit.case_id AND EXISTS (
        SELECT FROM tracing."case" WHERE "case".id = presence.case_id
            AND "case".person_id = presence.person_id
    )
    """  # noqa: S608 - put together from constants
)
STORED = "SELECT id, case_id, version, standing, digest FROM wanted JOIN tracing.co_location USING"
STORED_AT = text(f"WITH {_KEYS} {STORED} (case_id, place_id)")
STORED_OF = text(f"WITH {_VISITS} {STORED} (case_id, place_id, visit_id)")
AREAS_OF = text("""
    SELECT place_id, area_id FROM tracing.place WHERE place_id = ANY(CAST(:place_ids AS uuid[]))
""")


def co_location_key(case_id: UUID, place_id: UUID, visit_id: UUID | None = None) -> str:
    """What the evaluator of co-locations is woken by."""
    return "/".join(str(part) for part in (case_id, place_id, visit_id) if part)


def parse_co_location_key(key: str) -> Key:
    case_id, place_id, *visit = map(UUID, key.split("/"))
    return case_id, place_id, visit[0] if visit else None


async def meetings_at(reader: Reader, keys: Sequence[Key]) -> list[Meeting]:
    """Every visit of somebody else that meets these cases at these places."""
    whole, single = _apart(keys)
    rows = [
        *(await _rows(reader, MEETINGS_AT, whole)),
        *(await _rows(reader, MEETINGS_OF, single)),
    ]
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


async def stored_at(reader: Reader, keys: Sequence[Key]) -> dict[UUID, Row[Any]]:
    """By id: case, version, standing and digest of all that ever were there."""
    whole, single = _apart(keys)
    rows = [
        *(await _rows(reader, STORED_AT, whole)),
        *(await _rows(reader, STORED_OF, single)),
    ]
    return {row.id: row for row in rows}


async def load_co_locations(reader: Reader, record_ids: Sequence[UUID]) -> list[dict[str, Any]]:
    table = decisions.co_location
    these = func.any(cast(list(record_ids), ARRAY(Uuid)))
    wanted = select_as_text(table).where(table.c.id == these).order_by(table.c.id)
    return read_rows(await reader.execute(wanted))


async def areas_of(reader: Reader, place_ids: Sequence[UUID]) -> dict[UUID, str | None]:
    """Where these places lie, as they were registered."""
    rows = await reader.execute(AREAS_OF, {"place_ids": place_ids})
    return {row.place_id: row.area_id for row in rows}


async def save_co_locations(work: Work, rows: Sequence[dict[str, Any]]) -> None:
    """New versions in place of the last."""
    await upsert(work, decisions.co_location, written(rows))


async def withdraw_co_locations(work: Work, rows: Sequence[dict[str, Any]]) -> None:
    """Versions that do not stand, of rows that say the rest already."""
    told = [{name: row[name] for name in WITHDRAWN} for row in rows]
    await update(work, decisions.co_location, told, standing=False, digest="")


async def _rows(
    reader: Reader, statement: TextClause, asked: dict[str, list[Any]]
) -> Sequence[Row[Any]]:
    return (await reader.execute(statement, asked)).all() if asked["case_ids"] else []


def _apart(keys: Sequence[Key]) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Parameters for the places to be judged whole, and for the single visits elsewhere."""
    whole = sorted({(case_id, place_id) for case_id, place_id, visit_id in keys if not visit_id})
    found = set(whole)
    single = [key for key in keys if key[2] and key[:2] not in found]
    return (
        {"case_ids": [key[0] for key in whole], "place_ids": [key[1] for key in whole]},
        {
            "case_ids": [key[0] for key in single],
            "place_ids": [key[1] for key in single],
            "visit_ids": [key[2] for key in single],
        },
    )
