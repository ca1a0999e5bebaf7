"""Who and where a new fact is held against, and which cases a fact touches.

`flagged` and `presence` are written by the evaluator of a case and read by the evaluators of new
facts; both run after the facts were committed. Whoever changes them judges its case once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import TextClause, text

from services.tracing.domain.exposure import ExposureRule, Source
from services.tracing.repository.cases import case_key
from services.tracing.repository.exposure_sql import source_parameters, sources_sql
from shared.database.work import Work
from shared.policy import Reader

_SOURCES = sources_sql(evidence=True)

FORGET_FLAGGED = text("""
    DELETE FROM tracing.flagged
    WHERE case_id = :case_id AND NOT person_id = ANY(CAST(:person_ids AS uuid[]))
""")

FLAG = text("""
    INSERT INTO tracing.flagged AS flagged (case_id, person_id, from_at, until_at)
    SELECT CAST(:case_id AS uuid), person_id, from_at, until_at FROM unnest(
        CAST(:person_ids AS uuid[]), CAST(:from_ats AS timestamptz[]),
        CAST(:until_ats AS timestamptz[])
    ) AS source (person_id, from_at, until_at)
    ON CONFLICT (case_id, person_id) DO UPDATE SET
        from_at = excluded.from_at, until_at = excluded.until_at
    WHERE (flagged.from_at, flagged.until_at)
        IS DISTINCT FROM (excluded.from_at, excluded.until_at)
""")

# Two statements: one cannot delete and insert a row of the same key.
FORGET_PRESENCE = text(
    f"""
    WITH {_SOURCES}
    DELETE FROM tracing.presence WHERE case_id = :case_id
        AND NOT visit_id IN (SELECT id FROM own_visit)
    """  # noqa: S608 - put together from constants
)

NOTE_PRESENCE = text(
    f"""
    WITH {_SOURCES}
    INSERT INTO tracing.presence AS presence (
        case_id, visit_id, person_id, place_id, from_at, until_at, minimum_seconds, dwell_seconds
    )
    SELECT CAST(:case_id AS uuid), id, source_id, place_id, from_at, until_at, minimum_seconds,
        dwell_seconds
    FROM own_visit
    ON CONFLICT (case_id, visit_id) DO UPDATE SET
        person_id = excluded.person_id, place_id = excluded.place_id,
        from_at = excluded.from_at, until_at = excluded.until_at,
        minimum_seconds = excluded.minimum_seconds, dwell_seconds = excluded.dwell_seconds
    WHERE (presence.person_id, presence.place_id, presence.from_at, presence.until_at,
            presence.minimum_seconds, presence.dwell_seconds)
        IS DISTINCT FROM (excluded.person_id, excluded.place_id, excluded.from_at,
            excluded.until_at, excluded.minimum_seconds, excluded.dwell_seconds)
    """  # noqa: S608 - put together from constants
)


async def flag(work: Work, case_id: UUID, sources: Sequence[Source], rule: ExposureRule) -> bool:
    """Note whom this case watches and where they were; True when that changed."""
    parameters = source_parameters(sources, rule)
    people = {name: parameters[name] for name in ("person_ids", "from_ats", "until_ats")}
    gone = await work.execute(
        FORGET_FLAGGED, {"case_id": case_id, "person_ids": people["person_ids"]}
    )
    new = await work.execute(FLAG, people | {"case_id": case_id})
    left = await work.execute(FORGET_PRESENCE, parameters | {"case_id": case_id})
    met = await work.execute(NOTE_PRESENCE, parameters | {"case_id": case_id})
    return any(result.rowcount for result in (gone, new, left, met))


async def unflag(work: Work, case_id: UUID) -> bool:
    """Watch nobody for this case any more; True when that changed."""
    gone = [await work.execute(statement, {"case_id": case_id}) for statement in UNFLAG]
    return any(result.rowcount for result in gone)


UNFLAG = (
    text("DELETE FROM tracing.flagged WHERE case_id = :case_id"),
    text("DELETE FROM tracing.presence WHERE case_id = :case_id"),
)

ANYBODY_FLAGGED = text("SELECT EXISTS (SELECT FROM tracing.flagged)")

# A visit touches a case when its person is watched at that time, or when it overlaps the stay of a
# watched person for long enough to count there.
BY_VISITS = text("""
    WITH visit AS MATERIALIZED (
        SELECT visit.person_id, visit.place_id, visit.arrived_at, visit.left_at
        FROM tracing.visit WHERE visit.batch_id = ANY(CAST(:batch_ids AS uuid[])) AND standing
    ), touched AS (
        SELECT flagged.case_id
        FROM visit JOIN tracing.flagged ON flagged.person_id = visit.person_id
            AND flagged.until_at > visit.arrived_at
        UNION
        SELECT presence.case_id
        FROM visit JOIN tracing.presence ON presence.place_id = visit.place_id
            AND presence.until_at > visit.arrived_at
        CROSS JOIN LATERAL (
            SELECT greatest(visit.arrived_at, presence.from_at) AS from_at, least(
                presence.until_at, COALESCE(
                    visit.left_at,
                    visit.arrived_at + make_interval(secs => presence.dwell_seconds)
                )
            ) AS until_at
        ) AS met
        WHERE presence.person_id <> visit.person_id AND met.until_at > met.from_at
            AND met.until_at - met.from_at >= make_interval(secs => presence.minimum_seconds)
    )
    SELECT DISTINCT person_id, disease
    FROM tracing."case" JOIN touched ON touched.case_id = "case".id
""")

BY_ENCOUNTERS = text("""
    WITH touched AS (
        SELECT flagged.case_id FROM tracing.encounter
        JOIN tracing.flagged ON flagged.person_id = encounter.person_id
            AND encounter.started_at >= flagged.from_at AND encounter.started_at < flagged.until_at
        WHERE encounter.batch_id = ANY(CAST(:batch_ids AS uuid[]))
        UNION
        SELECT flagged.case_id FROM tracing.encounter
        JOIN tracing.flagged ON flagged.person_id = encounter.other_person_id
            AND encounter.started_at >= flagged.from_at AND encounter.started_at < flagged.until_at
        WHERE encounter.batch_id = ANY(CAST(:batch_ids AS uuid[]))
    )
    SELECT DISTINCT person_id, disease
    FROM tracing."case" JOIN touched ON touched.case_id = "case".id
""")

BY_PERSONS = text("""
    SELECT person_id, disease FROM tracing."case"
    WHERE person_id = ANY(CAST(:person_ids AS uuid[]))
    UNION
    SELECT "case".person_id, disease FROM tracing.flagged
    JOIN tracing."case" ON "case".id = flagged.case_id
    WHERE flagged.person_id = ANY(CAST(:person_ids AS uuid[]))
""")

BY_PLACES = text("""
    SELECT DISTINCT "case".person_id, disease FROM tracing.flagged
    JOIN tracing."case" ON "case".id = flagged.case_id
    JOIN tracing.visit ON visit.person_id = flagged.person_id AND visit.standing
    WHERE visit.place_id = ANY(CAST(:place_ids AS uuid[]))
""")

BY_GROUPS = text("""
    SELECT DISTINCT "case".person_id, disease FROM tracing.membership
    JOIN tracing.flagged ON flagged.person_id = membership.person_id
    JOIN tracing."case" ON "case".id = flagged.case_id
    WHERE membership.standing AND membership.group_id = ANY(CAST(:group_ids AS uuid[]))
""")

BY_AREAS = text("""
    SELECT person_id, disease FROM tracing."case"
    WHERE area_id = ANY(CAST(:area_ids AS text[]))
""")

BY_DISEASES = text("""
    SELECT person_id, disease FROM tracing."case"
    WHERE disease = ANY(CAST(:diseases AS text[])) OR '*' = ANY(CAST(:diseases AS text[]))
""")


async def touched_by_visits(reader: Reader, batch_ids: Sequence[UUID]) -> list[str]:
    """Keys of the cases that the visits written by these batches may change."""
    if not (await reader.execute(ANYBODY_FLAGGED)).scalar_one():
        return []
    return await _keys(reader, BY_VISITS, "batch_ids", batch_ids)


async def touched_by_encounters(reader: Reader, batch_ids: Sequence[UUID]) -> list[str]:
    """The same for encounters."""
    return await _keys(reader, BY_ENCOUNTERS, "batch_ids", batch_ids)


async def touched_by_persons(reader: Reader, person_ids: Sequence[UUID]) -> list[str]:
    """Cases of these persons, and cases that watch them."""
    return await _keys(reader, BY_PERSONS, "person_ids", person_ids)


async def touched_by_places(reader: Reader, place_ids: Sequence[UUID]) -> list[str]:
    """Cases that watch somebody who visited one of these places."""
    return await _keys(reader, BY_PLACES, "place_ids", place_ids)


async def touched_by_groups(reader: Reader, group_ids: Sequence[UUID]) -> list[str]:
    """Cases that watch a member of one of these groups."""
    return await _keys(reader, BY_GROUPS, "group_ids", group_ids)


async def touched_by_areas(reader: Reader, area_ids: Sequence[str]) -> list[str]:
    """Cases in these areas."""
    return await _keys(reader, BY_AREAS, "area_ids", area_ids)


async def touched_by_diseases(reader: Reader, diseases: Sequence[str]) -> list[str]:
    """Cases of these diseases; `*` is any."""
    return await _keys(reader, BY_DISEASES, "diseases", diseases)


async def _keys(
    reader: Reader, statement: TextClause, name: str, values: Sequence[UUID] | Sequence[str]
) -> list[str]:
    rows = await reader.execute(statement.bindparams(**{name: list(values)}))
    return [case_key(row.person_id, row.disease) for row in rows]
