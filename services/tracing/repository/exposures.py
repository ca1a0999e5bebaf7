"""The one primitive of exposure in SQL: who met these sources in their times, with all evidence.

The evaluator of a case asks it whole; a page of an answer asks it for the persons of the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.tracing.domain.exposure import Exposed, ExposureRule, Source
from services.tracing.repository.exposure_sql import (
    ENCOUNTERED,
    LEFT_OUT,
    LINKED,
    MET_IN_GROUP,
    MET_THESE_AT_PLACE,
    as_known,
    met_at_place_sql,
    rule_parameters,
    source_parameters,
    sources_sql,
)
from shared.events.base import Evidence
from shared.events.tracing import Reason
from shared.policy import Reader

MEETINGS = """
    meeting AS MATERIALIZED (
        SELECT * FROM (
            SELECT * FROM met_at_place
            UNION ALL SELECT * FROM met_in_group
            UNION ALL SELECT * FROM encountered
            UNION ALL SELECT * FROM linked
        ) AS every_meeting
        WHERE NOT EXISTS (
            SELECT FROM left_out WHERE left_out.person_id = every_meeting.other_id
        ) {only}
    ), exposed AS (
        SELECT other_id, min(from_at) AS first_at, max(until_at) AS last_at
        FROM meeting GROUP BY other_id
    ), via AS (
        SELECT DISTINCT ON (other_id) other_id, source_id
        FROM meeting ORDER BY other_id, from_at, source_id
    )
    SELECT other_id, source_id, exposed.first_at, exposed.last_at, code, place_id, kind,
        min(from_at) AS met_first_at, max(until_at) AS met_last_at, sum(seconds) AS seconds,
        array_agg(own_id) AS own_ids, array_agg(own_version) AS own_versions,
        array_agg(id) AS ids, array_agg(version) AS versions
    FROM exposed JOIN via USING (other_id) JOIN meeting USING (other_id, source_id)
    GROUP BY other_id, source_id, exposed.first_at, exposed.last_at, code, place_id, kind
    ORDER BY other_id, code, place_id, kind
"""
_ONLY = "AND every_meeting.other_id = ANY(CAST(:only_these AS uuid[]))"
_WITH = f"WITH {sources_sql(evidence=True)}"
_PAIRS = f"{MET_IN_GROUP}, {ENCOUNTERED}, {LINKED}, {LEFT_OUT}"
EVERYBODY = f"{_WITH}, {met_at_place_sql(evidence=True)}, {_PAIRS}, {MEETINGS.format(only='')}"
ONLY_THESE = f"{_WITH}, {MET_THESE_AT_PLACE}, {_PAIRS}, {MEETINGS.format(only=_ONLY)}"
EXPOSURES = text(EVERYBODY)
EXPOSURES_OF_THESE = text(ONLY_THESE)
EXPOSURES_OF_THESE_AS_KNOWN = text(as_known(ONLY_THESE))


@dataclass(frozen=True, slots=True)
class ExposureQuestion:
    """Who was exposed to these sources by this rule, `not_these` persons left out. Backward, links
    lead to the source: who may have exposed it."""

    sources: Sequence[Source]
    rule: ExposureRule
    disease: str
    not_these: Sequence[UUID] = field(default_factory=tuple)
    backward: bool = False


async def exposures(reader: Reader, question: ExposureQuestion) -> list[Exposed]:
    """Everybody who was exposed, each with the reasons and evidence of the first source."""
    if not question.sources:
        return []
    rows = (await reader.execute(EXPOSURES.bindparams(**_parameters(question)))).all()
    return _by_person(rows)


async def exposures_of(
    reader: Reader,
    question: ExposureQuestion,
    only_these: Sequence[UUID],
    *,
    known_at: datetime | None = None,
) -> list[Exposed]:
    """The same for a few persons, also as it was known at an earlier instant."""
    if not question.sources or not only_these:
        return []
    parameters = _parameters(question) | {"only_these": list(only_these)}
    statement = EXPOSURES_OF_THESE
    if known_at is not None:
        statement, parameters = EXPOSURES_OF_THESE_AS_KNOWN, parameters | {"known_at": known_at}
    return _by_person((await reader.execute(statement.bindparams(**parameters))).all())


def _parameters(question: ExposureQuestion) -> dict[str, Any]:
    return (
        source_parameters(question.sources, question.rule)
        | rule_parameters(question.rule, question.disease)
        | {"not_these": list(question.not_these), "backward": question.backward}
    )


def _by_person(rows: Sequence[Any]) -> list[Exposed]:
    by_person: dict[UUID, list[Any]] = {}
    for row in rows:
        by_person.setdefault(row.other_id, []).append(row)
    return [_exposed(found) for found in by_person.values()]


def _exposed(rows: Sequence[Any]) -> Exposed:
    evidence: dict[tuple[str, UUID], int] = {}
    for row in rows:
        for ids, versions in ((row.own_ids, row.own_versions), (row.ids, row.versions)):
            for record_id, version in zip(ids, versions, strict=True):
                if record_id is not None:
                    evidence[row.code, record_id] = version
    first = rows[0]
    return Exposed(
        person_id=first.other_id,
        via_person_id=first.source_id,
        first_at=first.first_at,
        last_at=first.last_at,
        reasons=tuple(
            Reason(
                code=row.code,
                place_id=row.place_id,
                place_kind=row.kind or None,
                minutes=round(float(row.seconds) / 60, 3),
                first_at=row.met_first_at,
                last_at=row.met_last_at,
            )
            for row in rows
        ),
        evidence=tuple(
            Evidence(kind=code, id=record_id, version=version)
            for (code, record_id), version in sorted(evidence.items())
        ),
    )
