"""Who and where a new fact is held against, and which cases a fact touches.

`flagged` and `presence` are written by the evaluator of a case and read by the evaluators of new
facts; both run after the facts were committed. Whoever changes them judges its case once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import TextClause, text

from services.tracing.domain.exposure import ExposureRule, Source
from services.tracing.repository.cases import case_key
from services.tracing.repository.exposure_sql import source_parameters, sources_sql
from shared.clock import real_now
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

# Two statements: one cannot delete and insert a row of the same key. A stay that went to another
# person or place is forgotten and noted anew, so that what is returned names both; one that goes
# there between the two statements is left for the judgement that its correction asks for.
FORGET_PRESENCE = text(
    f"""
    WITH {_SOURCES}
    DELETE FROM tracing.presence WHERE case_id = :case_id AND NOT EXISTS (
        SELECT FROM own_visit AS own WHERE own.id = presence.visit_id
            AND own.source_id = presence.person_id AND own.place_id = presence.place_id
    )
    RETURNING person_id, place_id
    """  # noqa: S608 - put together from constants
)

NOTE_PRESENCE = text(
    f"""
    WITH {_SOURCES}
    INSERT INTO tracing.presence AS presence (
        case_id, visit_id, visit_version, person_id, place_id, place_kind, from_at, until_at,
        minimum_seconds, dwell_seconds
    )
    SELECT CAST(:case_id AS uuid), id, version, source_id, place_id, kind, from_at, until_at,
        minimum_seconds, dwell_seconds
    FROM own_visit
    ON CONFLICT (case_id, visit_id) DO UPDATE SET
        visit_version = excluded.visit_version, place_kind = excluded.place_kind,
        from_at = excluded.from_at, until_at = excluded.until_at,
        minimum_seconds = excluded.minimum_seconds, dwell_seconds = excluded.dwell_seconds
    WHERE presence.person_id = excluded.person_id AND presence.place_id = excluded.place_id
        AND (presence.visit_version, presence.place_kind, presence.from_at, presence.until_at,
            presence.minimum_seconds, presence.dwell_seconds)
        IS DISTINCT FROM (excluded.visit_version, excluded.place_kind, excluded.from_at,
            excluded.until_at, excluded.minimum_seconds, excluded.dwell_seconds)
    RETURNING person_id, place_id
    """  # noqa: S608 - put together from constants
)

NOTE_CHANGE = text("""
    INSERT INTO tracing.presence_change (case_id, transaction_id, written_at)
    VALUES (:case_id, CAST(CAST(pg_current_xact_id() AS text) AS bigint), :written_at)
    ON CONFLICT DO NOTHING
""")


@dataclass(frozen=True, slots=True)
class Watching:
    """What a judgement changed in whom and where a case watches; `places` are those where the own
    person of the case stays otherwise than before."""

    changed: bool
    places: frozenset[UUID]


async def flag(
    work: Work, case_id: UUID, sources: Sequence[Source], rule: ExposureRule
) -> Watching:
    """Note whom this case watches and where they were; the first source is the case itself."""
    parameters = source_parameters(sources, rule)
    people = {name: parameters[name] for name in ("person_ids", "from_ats", "until_ats")}
    gone = await work.execute(
        FORGET_FLAGGED, {"case_id": case_id, "person_ids": people["person_ids"]}
    )
    new = await work.execute(FLAG, people | {"case_id": case_id})
    stays = [
        row
        for statement in (FORGET_PRESENCE, NOTE_PRESENCE)
        for row in (await work.execute(statement, parameters | {"case_id": case_id})).all()
    ]
    own = sources[0].person_id
    places = frozenset(row.place_id for row in stays if row.person_id == own)
    await _note_change(work, case_id, places)
    return Watching(bool(gone.rowcount or new.rowcount or stays), places)


async def unflag(work: Work, case_id: UUID, own: UUID) -> Watching:
    """Watch nobody for this case any more; `own` is its person."""
    gone = await work.execute(UNFLAG, {"case_id": case_id})
    stays = (await work.execute(FORGET_ALL_PRESENCE, {"case_id": case_id})).all()
    places = frozenset(row.place_id for row in stays if row.person_id == own)
    await _note_change(work, case_id, places)
    return Watching(bool(gone.rowcount or stays), places)


async def _note_change(work: Work, case_id: UUID, places: frozenset[UUID]) -> None:
    """Whoever holds these stays in memory finds by this that they are others now."""
    if places:
        await work.execute(NOTE_CHANGE, {"case_id": case_id, "written_at": real_now()})


UNFLAG = text("DELETE FROM tracing.flagged WHERE case_id = :case_id")
FORGET_ALL_PRESENCE = text("""
    DELETE FROM tracing.presence WHERE case_id = :case_id RETURNING person_id, place_id
""")

ANYBODY_FLAGGED = text("SELECT EXISTS (SELECT FROM tracing.flagged)")

# Visits that overlap the stay of a watched person for long enough to count there.
MET = """
    visit JOIN tracing.presence ON presence.place_id = visit.place_id
        AND presence.until_at > visit.arrived_at
    CROSS JOIN LATERAL (
        SELECT greatest(visit.arrived_at, presence.from_at) AS from_at, least(
            presence.until_at, COALESCE(
                visit.left_at, visit.arrived_at + make_interval(secs => presence.dwell_seconds)
            )
        ) AS until_at
    ) AS met
    WHERE presence.person_id <> visit.person_id AND met.until_at > met.from_at
        AND met.until_at - met.from_at >= make_interval(secs => presence.minimum_seconds)
"""

# A visit touches a case when its person is watched at that time, or when it meets a watched person.
BY_VISITS = text(
    f"""
    WITH visit AS MATERIALIZED (
        SELECT visit.person_id, visit.place_id, visit.arrived_at, visit.left_at
        FROM tracing.visit WHERE visit.batch_id = ANY(CAST(:batch_ids AS uuid[])) AND standing
    ), touched AS (
        SELECT flagged.case_id
        FROM visit JOIN tracing.flagged ON flagged.person_id = visit.person_id
            AND flagged.until_at > visit.arrived_at
        UNION
        SELECT presence.case_id FROM {MET}
    )
    SELECT DISTINCT person_id, disease
    FROM tracing."case" JOIN touched ON touched.case_id = "case".id
    """  # noqa: S608 - put together from constants
)

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
