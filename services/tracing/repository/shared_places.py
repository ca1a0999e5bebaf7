"""Places where several of some persons were in their times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from services.tracing.domain.exposure import ExposureRule, Source
from services.tracing.repository.exposure_sql import source_parameters
from shared.policy import Reader

_STAYS = """
    WITH source AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:person_ids AS uuid[]), CAST(:from_ats AS timestamptz[]),
            CAST(:until_ats AS timestamptz[])
        ) AS source (person_id, from_at, until_at)
    ), place_rule AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:place_kinds AS text[]), CAST(:place_dwells AS float[])
        ) AS place_rule (kind, dwell_seconds)
    ), stay AS (
        SELECT visit.person_id, visit.place_id, visit.arrived_at, COALESCE(
            visit.left_at, visit.arrived_at + make_interval(
                secs => COALESCE(place_rule.dwell_seconds, CAST(:other_dwell AS float))
            )
        ) AS left_at, source.from_at, source.until_at
        FROM source
        CROSS JOIN LATERAL (
            SELECT visit.person_id, visit.place_id, visit.arrived_at, visit.left_at
            FROM tracing.visit WHERE visit.person_id = source.person_id AND visit.standing
                AND visit.arrived_at < source.until_at OFFSET 0
        ) AS visit
        JOIN tracing.place ON place.place_id = visit.place_id
        LEFT JOIN place_rule ON place_rule.kind = place.kind
    )
    SELECT place_id, count(DISTINCT person_id) AS persons, min(arrived_at) AS first_at,
        max(left_at) AS last_at, array_agg(DISTINCT person_id) AS person_ids
    FROM stay WHERE left_at > from_at AND left_at > arrived_at
    GROUP BY place_id HAVING count(DISTINCT person_id) >= :at_least
    ORDER BY persons DESC, place_id
"""
STAYS = text(_STAYS)
VISITORS = text("""
    SELECT visit.place_id, count(DISTINCT visit.person_id) AS visitors
    FROM tracing.visit WHERE visit.place_id = ANY(CAST(:place_ids AS uuid[])) AND visit.standing
        AND visit.arrived_at >= :from_at AND visit.arrived_at < :until_at
    GROUP BY visit.place_id
""")
KINDS = text("""
    SELECT place_id, kind, area_id FROM tracing.place
    WHERE place_id = ANY(CAST(:place_ids AS uuid[]))
""")
PERSONS = text("SELECT count(*) FROM tracing.person")


async def places_of_several(
    reader: Reader, sources: Sequence[Source], rule: ExposureRule, *, at_least: int
) -> Sequence[Row[Any]]:
    """Places where at least so many of the persons were, most persons first."""
    parameters = source_parameters(sources, rule)
    names = ("person_ids", "from_ats", "until_ats", "place_kinds", "place_dwells", "other_dwell")
    wanted = {name: parameters[name] for name in names} | {"at_least": at_least}
    return (await reader.execute(STAYS.bindparams(**wanted))).all()


async def visitors_of(
    reader: Reader, place_ids: Sequence[UUID], from_at: datetime, until_at: datetime
) -> dict[UUID, int]:
    """How many persons arrived at each place in that time."""
    rows = await reader.execute(
        VISITORS, {"place_ids": list(place_ids), "from_at": from_at, "until_at": until_at}
    )
    return {row.place_id: int(row.visitors) for row in rows}


async def kinds_of(reader: Reader, place_ids: Sequence[UUID]) -> dict[UUID, Row[Any]]:
    rows = await reader.execute(KINDS, {"place_ids": list(place_ids)})
    return {row.place_id: row for row in rows}


async def count_persons(reader: Reader) -> int:
    """How many persons tracing has heard of."""
    return int((await reader.execute(PERSONS)).scalar_one())
