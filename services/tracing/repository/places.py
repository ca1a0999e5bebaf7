"""Places as tracing knows them: their kind, and how long anybody was seen to stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from shared.database.work import Work

# A place that only scans have told of is kept at version 0; the greatest kind they name is taken,
# so that their order does not matter. In the steady state nothing is written and no row is locked.
SEEN_BY_SCANS = text("""
    WITH seen AS (
        SELECT place_id, max(kind) AS kind, max(seconds) AS seconds
        FROM unnest(
            CAST(:place_ids AS uuid[]), CAST(:kinds AS text[]), CAST(:seconds AS float[])
        ) AS scan (place_id, kind, seconds)
        GROUP BY place_id
    ), written AS (
        INSERT INTO tracing.place AS place (place_id, version, kind, longest_seconds, batch_id)
        SELECT seen.place_id, 0, seen.kind, seen.seconds, CAST(:batch_id AS uuid)
        FROM seen LEFT JOIN tracing.place AS known USING (place_id)
        WHERE known.place_id IS NULL
            OR known.longest_seconds < seen.seconds
            OR (known.version = 0 AND known.kind < seen.kind)
        ORDER BY seen.place_id
        ON CONFLICT (place_id) DO UPDATE SET
            longest_seconds = greatest(place.longest_seconds, excluded.longest_seconds),
            batch_id = excluded.batch_id,
            kind = CASE
                WHEN place.version = 0 THEN greatest(place.kind, excluded.kind) ELSE place.kind
            END
        RETURNING place.place_id
    )
    SELECT known.place_id
    FROM written JOIN tracing.place AS known USING (place_id) JOIN seen USING (place_id)
    WHERE known.version = 0 AND known.kind < seen.kind
""")

REGISTERED = text("""
    WITH incoming AS (
        SELECT * FROM unnest(
            CAST(:place_ids AS uuid[]), CAST(:versions AS int[]), CAST(:kinds AS text[]),
            CAST(:area_ids AS text[])
        ) AS place (place_id, version, kind, area_id)
    ), before AS (
        SELECT known.place_id, known.kind
        FROM tracing.place AS known JOIN incoming USING (place_id)
        ORDER BY known.place_id FOR UPDATE OF known
    ), written AS (
        INSERT INTO tracing.place AS place (place_id, version, kind, area_id, batch_id)
        SELECT place_id, version, kind, area_id, CAST(:batch_id AS uuid)
        FROM incoming ORDER BY place_id
        ON CONFLICT (place_id) DO UPDATE SET
            version = excluded.version, kind = excluded.kind, area_id = excluded.area_id,
            batch_id = excluded.batch_id
        WHERE place.version < excluded.version
        RETURNING place.place_id, place.kind
    )
    SELECT written.place_id
    FROM written LEFT JOIN before USING (place_id)
    WHERE before.kind IS DISTINCT FROM written.kind
""")


async def see_places(work: Work, batch_id: UUID, scans: Sequence[Mapping[str, Any]]) -> list[UUID]:
    """Note place, kind and length of these stays; returns the places whose kind changed by that."""
    found = await work.execute(
        SEEN_BY_SCANS,
        {
            "batch_id": batch_id,
            "place_ids": [scan["place_id"] for scan in scans],
            "kinds": [scan["kind"] for scan in scans],
            "seconds": [scan["seconds"] for scan in scans],
        },
    )
    return [row.place_id for row in found]


async def store_places(
    work: Work, batch_id: UUID, places: Sequence[Mapping[str, Any]]
) -> list[UUID]:
    """Keep the newest version of each; returns the places whose kind is now another one."""
    newest = {
        place["place_id"]: place for place in sorted(places, key=lambda item: item["version"])
    }
    rows = list(newest.values())
    found = await work.execute(
        REGISTERED,
        {
            "batch_id": batch_id,
            "place_ids": [row["place_id"] for row in rows],
            "versions": [row["version"] for row in rows],
            "kinds": [row["kind"] for row in rows],
            "area_ids": [row["area_id"] for row in rows],
        },
    )
    return [row.place_id for row in found]
