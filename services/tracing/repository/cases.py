"""Cases as they were last decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Uuid, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from services.tracing.domain.window import Isolation
from services.tracing.tables import decisions, facts
from shared.database.rows import upsert
from shared.database.work import Work
from shared.ids import derived_id
from shared.policy import Reader


def case_id_of(person_id: UUID, disease: str) -> UUID:
    """One case per person and disease."""
    return derived_id("case", person_id, disease)


def case_key(person_id: UUID, disease: str) -> str:
    """What the evaluator of a case is woken by; says whose case it is before there is a row."""
    return f"{person_id}/{disease}"


def parse_case_key(key: str) -> tuple[UUID, str]:
    person, _, disease = key.partition("/")
    return UUID(person), disease


async def load_case(reader: Reader, case_id: UUID) -> Row[Any] | None:
    table = decisions.case
    return (await reader.execute(select(table).where(table.c.id == case_id))).first()


async def load_cases(reader: Reader, case_ids: Sequence[UUID]) -> list[Row[Any]]:
    table = decisions.case
    these = func.any(cast(list(case_ids), ARRAY(Uuid)))
    return list((await reader.execute(select(table).where(table.c.id == these))).all())


async def save_case(work: Work, values: dict[str, Any]) -> None:
    """The new version of a case in place of the last."""
    await upsert(work, decisions.case, [values])


async def isolations_of(
    reader: Reader, person_ids: Sequence[UUID], disease: str
) -> dict[UUID, list[Isolation]]:
    """When these persons were apart: orders on them as close contacts, and their own cases.

    An order counts from its own `from_at`, which rests on the case's report and not on our
    contact's second degree: so what we say here never comes back to change itself.
    """
    apart: dict[UUID, list[Isolation]] = {}
    case, order = decisions.case, facts.order
    # One array: a statement takes 32,767 parameters at most, and a case may have more contacts.
    these = func.any(cast(list(person_ids), ARRAY(Uuid)))
    cases = select(case.c.person_id, case.c.reported_at, case.c.infectious_until).where(
        case.c.person_id == these,
        case.c.disease == disease,
        case.c.standing,
        case.c.infectious_until.is_not(None),
    )
    for row in await reader.execute(cases):
        found = Isolation(row.reported_at, row.infectious_until)
        apart.setdefault(row.person_id, []).append(found)
    orders = select(order.c.person_id, order.c.supports).where(
        order.c.person_id == these, order.c.status.in_(["open", "ended"])
    )
    for row in await reader.execute(orders):
        for from_at, until_at in _close_contact_times(row.supports):
            apart.setdefault(row.person_id, []).append(Isolation(from_at, until_at))
    return apart


def _close_contact_times(supports: Sequence[dict[str, Any]]) -> list[tuple[datetime, datetime]]:
    return [
        (datetime.fromisoformat(item["from_at"]), datetime.fromisoformat(item["until_at"]))
        for item in supports
    ]
