"""The rows behind a page that the city answered: found again by their own times.

A row that was revised since drops out here; the next refresh takes it out of the answer as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.tracing.domain.city.telling import Met, Stay, Told
from services.tracing.domain.exposure import Exposed
from shared.events.base import Evidence
from shared.policy import Reader

_STAYS = """
    WITH wanted AS (
        SELECT DISTINCT * FROM unnest(
            CAST(:person_ids AS uuid[]), CAST(:place_ids AS uuid[]),
            CAST(:from_ats AS timestamptz[]), CAST(:until_ats AS timestamptz[])
        ) AS stay (person_id, place_id, from_at, until_at)
    )
    SELECT row.id, row.version, wanted.* FROM wanted CROSS JOIN LATERAL (
        SELECT id, version FROM tracing.{table} AS row
        WHERE row.person_id = wanted.person_id AND row.{place} = wanted.place_id AND row.standing
            AND row.{began} = wanted.from_at
            AND row.{ended} IS NOT DISTINCT FROM wanted.until_at
        OFFSET 0
    ) AS row
"""
STAYS = {
    "visit": text(
        _STAYS.format(table="visit", place="place_id", began="arrived_at", ended="left_at")
    ),
    "membership": text(
        _STAYS.format(table="membership", place="group_id", began="from_at", ended="until_at")
    ),
}
ENCOUNTERS = text("""
    SELECT met.id, met.version, wanted.* FROM (
        SELECT DISTINCT * FROM unnest(
            CAST(:person_ids AS uuid[]), CAST(:other_ids AS uuid[]), CAST(:ats AS timestamptz[])
        ) AS pair (person_id, other_id, at)
    ) AS wanted CROSS JOIN LATERAL (
        SELECT id, version FROM tracing.encounter
        WHERE standing AND person_id = wanted.person_id AND started_at = wanted.at
            AND other_person_id = wanted.other_id
        UNION ALL
        SELECT id, version FROM tracing.encounter
        WHERE standing AND person_id = wanted.other_id AND started_at = wanted.at
            AND other_person_id = wanted.person_id
        OFFSET 0
    ) AS met
""")
LINKS = text("""
    SELECT link.id, link.version, wanted.* FROM (
        SELECT DISTINCT * FROM unnest(
            CAST(:person_ids AS uuid[]), CAST(:other_ids AS uuid[]), CAST(:ats AS timestamptz[])
        ) AS pair (person_id, other_id, at)
    ) AS wanted JOIN tracing.link ON link.standing AND link.disease = :disease
        AND link.exposed_at = wanted.at
        AND link.person_id =
            CASE WHEN :backward THEN wanted.other_id ELSE wanted.person_id END
        AND link.other_person_id =
            CASE WHEN :backward THEN wanted.person_id ELSE wanted.other_id END
""")
Key = tuple[Any, ...]


async def with_evidence(
    reader: Reader, told: Sequence[Told], disease: str, *, backward: bool
) -> list[Exposed]:
    """The page as the SQL would tell it: every reason's rows by kind, id and version."""
    stays = {
        code: await _stays(reader, code, _all(one.stays.get(code, ()) for one in told))
        for code in STAYS
    }
    pairs = {
        "encounter": await _pairs(
            reader, ENCOUNTERS, _all(one.meetings.get("encounter", ()) for one in told), {}
        ),
        "link": await _pairs(
            reader,
            LINKS,
            _all(one.meetings.get("link", ()) for one in told),
            {"disease": disease, "backward": backward},
        ),
    }
    return [
        Exposed(
            person_id=one.person_id,
            via_person_id=one.via_person_id,
            first_at=one.first_at,
            last_at=one.last_at,
            reasons=tuple(one.reasons),
            evidence=_evidence(one, stays, pairs),
        )
        for one in told
    ]


def _all(parts: Iterable[Iterable[Any]]) -> list[Any]:
    return [item for part in parts for item in part]


async def _stays(
    reader: Reader, code: str, stays: Sequence[Stay]
) -> dict[Key, list[tuple[UUID, int]]]:
    if not stays:
        return {}
    rows = await reader.execute(
        STAYS[code],
        {
            "person_ids": [stay.person_id for stay in stays],
            "place_ids": [stay.place_id for stay in stays],
            "from_ats": [stay.arrived_at for stay in stays],
            "until_ats": [stay.left_at for stay in stays],
        },
    )
    found: dict[Key, list[tuple[UUID, int]]] = {}
    for row in rows:
        key = (row.person_id, row.place_id, row.from_at, row.until_at)
        found.setdefault(key, []).append((row.id, row.version))
    return found


async def _pairs(
    reader: Reader, statement: Any, meetings: Sequence[Met], more: dict[str, Any]
) -> dict[Key, list[tuple[UUID, int]]]:
    if not meetings:
        return {}
    rows = await reader.execute(
        statement,
        {
            "person_ids": [met.person_id for met in meetings],
            "other_ids": [met.other_id for met in meetings],
            "ats": [met.at for met in meetings],
        }
        | more,
    )
    found: dict[Key, list[tuple[UUID, int]]] = {}
    for row in rows:
        found.setdefault((row.person_id, row.other_id, row.at), []).append((row.id, row.version))
    return found


def _evidence(
    one: Told,
    stays: dict[str, dict[Key, list[tuple[UUID, int]]]],
    pairs: dict[str, dict[Key, list[tuple[UUID, int]]]],
) -> tuple[Evidence, ...]:
    found: dict[tuple[str, UUID], int] = {}
    for kept, rows in ((one.stays, stays), (one.meetings, pairs)):
        for code, items in kept.items():
            for item in items:
                for record_id, version in rows[code].get(tuple(item), ()):
                    found[code, record_id] = version
    return tuple(
        Evidence(kind=code, id=record_id, version=version)
        for (code, record_id), version in sorted(found.items())
    )


DATED_LINKS = text("""
    SELECT person_id, other_person_id, exposed_at FROM tracing.link
    WHERE standing AND disease = :disease AND exposed_at >= :from_at AND exposed_at < :until_at
""")


async def dated_links(
    reader: Reader, disease: str, from_at: datetime, until_at: datetime
) -> list[tuple[UUID, UUID, datetime]]:
    """(source, other, when): links are few and stand in no city."""
    rows = await reader.execute(
        DATED_LINKS, {"disease": disease, "from_at": from_at, "until_at": until_at}
    )
    return [(row.person_id, row.other_person_id, row.exposed_at) for row in rows]
