"""All evidence on one (person, disease), and what people decided about the case by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, Uuid, func, select
from sqlalchemy import cast as cast_sql
from sqlalchemy.dialects.postgresql import ARRAY

from services.tracing.domain.case import CaseEvidence, EvidenceKind, Verdict
from services.tracing.tables import facts
from shared.database.work import Work
from shared.events.tracing import Classification
from shared.policy import Reader


@dataclass(frozen=True, slots=True)
class Opening:
    """A case opened by hand; `reason` is the author's own words and stays in the table."""

    id: UUID
    person_id: UUID
    disease: str
    classification: Classification
    reported_at: datetime
    author: str
    reason: str
    opened_at: datetime
    onset_date: date | None = None
    area_id: str | None = None


async def evidence_of(reader: Reader, person_id: UUID, disease: str) -> list[CaseEvidence]:
    """Positive results, declarations and openings, standing or not.

    A declaration that says "discarded" is no evidence of the disease, and no discard either.
    """
    result, declaration, opening = facts.result, facts.declaration, facts.opening
    positive = _of(result, person_id, disease, result.c.outcome == "positive")
    declared = _of(declaration, person_id, disease, declaration.c.classification != "discarded")
    opened = _of(opening, person_id, disease)
    return [
        *map(_of_result, await reader.execute(positive)),
        *map(_of_declaration, await reader.execute(declared)),
        *map(_of_opening, await reader.execute(opened)),
    ]


def _of(table: Table, person_id: UUID, disease: str, *more: ColumnElement[bool]) -> Any:
    return select(table).where(table.c.person_id == person_id, table.c.disease == disease, *more)


def _of_result(row: Any) -> CaseEvidence:
    return CaseEvidence(
        kind="result",
        id=row.id,
        version=row.version,
        standing=row.standing,
        # A preliminary (presumptive) positive awaits its confirmation.
        classification="probable" if row.stage == "preliminary" else "confirmed",
        occurred_at=row.collected_at,
        recorded_at=row.recorded_at,
        reported_at=row.reported_at,
        onset_date=row.onset_date,
        specimen_collected_at=row.collected_at,
        area_id=row.area_id,
        exercise=row.exercise,
    )


def _of_declaration(row: Any) -> CaseEvidence:
    return CaseEvidence(
        kind="declaration",
        id=row.id,
        version=row.version,
        standing=row.standing,
        classification=row.classification,
        occurred_at=row.occurred_at,
        recorded_at=row.recorded_at,
        reported_date=row.reported_date,
        diagnosed_date=row.diagnosed_date,
        onset_date=row.onset_date,
        area_id=row.area_id,
        exercise=row.exercise,
    )


def _of_opening(row: Any) -> CaseEvidence:
    return CaseEvidence(
        kind="opening",
        id=row.id,
        version=1,
        standing=True,
        classification=row.classification,
        occurred_at=row.reported_at,
        recorded_at=row.opened_at,
        reported_at=row.reported_at,
        onset_date=row.onset_date,
        area_id=row.area_id,
    )


async def verdicts_on(reader: Reader, case_id: UUID) -> list[Verdict]:
    """Every discard and reopening of a case."""
    table = facts.verdict
    rows = await reader.execute(select(table).where(table.c.case_id == case_id))
    return [
        Verdict(
            id=row.id,
            action=cast(Any, row.action),
            author=row.author,
            at=row.at,
            covered=frozenset(row.covered),
        )
        for row in rows
    ]


async def residence_of(reader: Reader, person_id: UUID) -> str | None:
    """The area where a person lives, where it is known."""
    table = facts.person
    row = (
        await reader.execute(
            select(table.c.residence_area_id).where(table.c.person_id == person_id)
        )
    ).first()
    return row.residence_area_id if row else None


async def store_opening(work: Work, opening: Opening) -> None:
    values = {name: getattr(opening, name) for name in Opening.__dataclass_fields__}
    await work.execute(facts.opening.insert().values(**values))


async def store_verdict(work: Work, case_id: UUID, verdict: Verdict, reason: str) -> None:
    await work.execute(
        facts.verdict.insert().values(
            id=verdict.id,
            case_id=case_id,
            action=verdict.action,
            author=verdict.author,
            reason=reason,
            covered=sorted(verdict.covered),
            at=verdict.at,
        )
    )


async def last_word_on(
    reader: Reader, person_id: UUID, disease: str
) -> tuple[EvidenceKind, UUID, int] | None:
    """(kind, id, version) of what was recorded last, evidence or not: it took the evidence away."""
    found: list[tuple[datetime, EvidenceKind, UUID, int]] = []
    kinds: tuple[tuple[EvidenceKind, Table], ...] = (
        ("result", facts.result),
        ("declaration", facts.declaration),
    )
    for kind, table in kinds:
        rows = await reader.execute(_of(table, person_id, disease))
        found += [(row.recorded_at, kind, row.id, row.version) for row in rows]
    return max(found)[1:] if found else None


async def revised_among(
    reader: Reader, evidence: Mapping[str, Mapping[UUID, int]]
) -> dict[UUID, int]:
    """Of these {kind: {id: version}}: those withdrawn or revised since, with their version now."""
    tables = {
        "visit": facts.visit,
        "encounter": facts.encounter,
        "membership": facts.membership,
        "link": facts.link,
    }
    found: dict[UUID, int] = {}
    for kind, versions in evidence.items():
        table = tables[kind]
        rows = await reader.execute(
            select(table.c.id, table.c.version).where(
                # One array: a statement takes 32,767 parameters at most.
                table.c.id == func.any(cast_sql(list(versions), ARRAY(Uuid)))
            )
        )
        found |= {row.id: row.version for row in rows if row.version > versions[row.id]}
    return found
