"""Counts and pages of exposed persons in tuned SQL: what answers where the city in memory does not.

A page is found without evidence, from the indexes alone; reasons are then read for the persons of
the page. The laterals pin one index range per stay: the planner's guesses at overlaps are wrong by
orders of magnitude, and a hash join on the place reads every visitor there ever was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from services.tracing.repository.exposure_sql import (
    ENCOUNTERED,
    LEFT_OUT,
    LINKED,
    MET_IN_GROUP,
    as_known,
    met_at_place_sql,
    rule_parameters,
    source_parameters,
    sources_sql,
)
from services.tracing.repository.exposures import ExposureQuestion
from shared.policy import Reader

_EXPOSED = f"""
    WITH {sources_sql(evidence=False)}, {met_at_place_sql(evidence=False)}, {MET_IN_GROUP},
    {ENCOUNTERED}, {LINKED}, {LEFT_OUT},
    exposed AS MATERIALIZED (
        SELECT other_id, min(from_at) AS first_at, max(until_at) AS last_at, count(*) AS pairs
        FROM (
            SELECT other_id, from_at, until_at FROM met_at_place
            UNION ALL SELECT other_id, from_at, until_at FROM met_in_group
            UNION ALL SELECT other_id, from_at, until_at FROM encountered
            UNION ALL SELECT other_id, from_at, until_at FROM linked
        ) AS meeting
        GROUP BY other_id
    ), wanted AS MATERIALIZED (
        SELECT exposed.* FROM exposed
        WHERE NOT EXISTS (SELECT FROM left_out WHERE left_out.person_id = exposed.other_id)
    )
"""  # noqa: S608 - put together from constants
_PAGE = f"""
    {_EXPOSED}
    SELECT page.other_id, page.first_at, page.last_at, whole.total, whole.pairs
    FROM (
        SELECT (SELECT count(*) FROM wanted) AS total,
            (SELECT coalesce(sum(pairs), 0) FROM exposed) AS pairs
    ) AS whole
    LEFT JOIN LATERAL (
        SELECT * FROM wanted ORDER BY first_at, other_id LIMIT :size OFFSET :skipped
    ) AS page ON true
    ORDER BY page.first_at, page.other_id
"""  # noqa: S608 - put together from constants
PAGE, PAGE_AS_KNOWN = text(_PAGE), text(as_known(_PAGE))


@dataclass(frozen=True, slots=True)
class ExposedPerson:
    """Who, and the first and last instant of exposure."""

    person_id: UUID
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class ExposedPage:
    """`total` persons in all, found in `pairs` meetings that count (those left out
    included); the persons of this page in order of first exposure, then id."""

    total: int
    pairs: int
    persons: Sequence[ExposedPerson]


async def exposed_page(
    reader: Reader,
    question: ExposureQuestion,
    *,
    skipped: int,
    size: int | None,
    known_at: datetime | None = None,
) -> ExposedPage:
    """A page of everybody who was exposed; without a size, all of them."""
    if not question.sources:
        return ExposedPage(0, 0, ())
    parameters = (
        source_parameters(question.sources, question.rule)
        | rule_parameters(question.rule, question.disease)
        | {"not_these": list(question.not_these), "backward": question.backward}
        | {"size": size, "skipped": skipped}
    )
    statement = PAGE
    if known_at is not None:
        statement, parameters = PAGE_AS_KNOWN, parameters | {"known_at": known_at}
    rows = (await reader.execute(statement.bindparams(**parameters))).all()
    persons = [
        ExposedPerson(row.other_id, row.first_at, row.last_at)
        for row in rows
        if row.other_id is not None
    ]
    return ExposedPage(int(rows[0].total), int(rows[0].pairs), persons)
