"""Kept messages, their findings, and the visits and results they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Table, and_, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from services.intake.domain.hl7.findings import Finding
from services.intake.tables import (
    clinic_encounter,
    finding,
    message,
    message_subject,
    specimen_result,
    standard,
)
from shared.access import Viewer
from shared.areas import visible
from shared.database.work import ReadSession, Work


async def find_message(session: ReadSession, sender: str, fingerprint: bytes) -> Any:
    """(reply, counted source, day) of a message that came before, or None."""
    query = select(message.c.reply, message.c.source_id).where(
        message.c.sender == sender, message.c.fingerprint == fingerprint
    )
    return (await session.execute(query)).first()


async def is_control_id_used(session: ReadSession, sender: str, control_id: str) -> bool:
    """A refused message does not occupy its id."""
    query = select(message.c.message_id).where(
        message.c.sender == sender,
        message.c.control_id == control_id,
        message.c.state != "refused",
    )
    return bool(control_id) and (await session.execute(query.limit(1))).first() is not None


async def add_message(work: Work, values: Mapping[str, Any]) -> None:
    await work.execute(message.insert().values(values))


async def settle_message(work: Work, message_id: UUID, values: Mapping[str, Any]) -> None:
    await work.execute(update(message).where(message.c.message_id == message_id).values(**values))


async def add_subjects(work: Work, message_id: UUID, subjects: Iterable[UUID]) -> None:
    rows = [{"subject_id": one, "message_id": message_id} for one in sorted(subjects)]
    if rows:
        await work.execute(insert(message_subject).on_conflict_do_nothing(), rows)


async def read_subject(session: ReadSession, subject_id: UUID) -> list[Any]:
    """Every message with effect on a visit or specimen."""
    query = (
        select(message)
        .join(message_subject, message_subject.c.message_id == message.c.message_id)
        .where(message_subject.c.subject_id == subject_id, message.c.state == "applied")
    )
    return list((await session.execute(query)).all())


async def add_findings(
    work: Work, message_id: UUID, area_id: str | None, findings: Iterable[Finding]
) -> None:
    rows = [
        {
            "message_id": message_id,
            "area_id": area_id,
            "code": one.code,
            "field": one.field,
            "text": one.text,
            "found_at": work.now(),
        }
        for one in findings
    ]
    if rows:
        await work.execute(insert(finding).on_conflict_do_nothing(), rows)


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """Messages that a newly registered source explains."""

    source_id: UUID
    namespace: str
    universal_id: str


async def claim_messages(
    work: Work, state: str, *, source: WaitingFor | None, limit: int
) -> list[Any]:
    """Kept messages of one state, oldest first, locked so that no two replays take one."""
    query = select(message).where(message.c.state == state)
    if source is not None:
        named = source.namespace or source.universal_id
        facility = and_(
            message.c.facility_namespace == source.namespace,
            message.c.facility_universal_id == source.universal_id,
        )
        treating = and_(
            message.c.treating_namespace == source.namespace,
            message.c.treating_universal_id == source.universal_id,
        )
        own = message.c.bound_source_id == source.source_id
        query = query.where(or_(facility, treating, own) if named else own)
    query = query.order_by(message.c.received_at, message.c.message_id).limit(limit)
    return list((await work.execute(query.with_for_update(skip_locked=True))).all())


async def read_encounter(session: ReadSession, encounter_id: UUID) -> Any:
    query = select(clinic_encounter).where(clinic_encounter.c.encounter_id == encounter_id)
    return (await session.execute(query)).first()


async def read_results(session: ReadSession, specimen_id: UUID) -> dict[str, Any]:
    """Stored answers of a specimen by disease."""
    query = select(specimen_result).where(specimen_result.c.specimen_id == specimen_id)
    return {row.disease: row for row in await session.execute(query)}


async def write_encounter(work: Work, values: Mapping[str, Any]) -> None:
    await _replace(work, clinic_encounter, "encounter_id", values)


async def write_result(work: Work, values: Mapping[str, Any]) -> None:
    await _replace(work, specimen_result, "result_id", values)


async def _replace(work: Work, table: Table, key: str, values: Mapping[str, Any]) -> None:
    statement = insert(table).values(values)
    await work.execute(
        statement.on_conflict_do_update(
            index_elements=[table.c[key]],
            set_={name: statement.excluded[name] for name in values if name != key},
        )
    )


_TOLD = [column for column in message.columns if column.name not in ("sealed_body", "reply")]


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which kept messages or findings; None means any."""

    state: str | None = None
    code: str | None = None
    message_id: UUID | None = None
    before: datetime | None = None
    # The last one of the page before: several messages may carry the same instant.
    before_id: UUID | None = None
    before_finding: int | None = None


async def list_messages(
    session: ReadSession, viewer: Viewer, wanted: MessageFilter, *, limit: int
) -> list[Any]:
    """Newest first, with the number of findings of each."""
    counted = (
        select(func.count())
        .select_from(finding)
        .where(finding.c.message_id == message.c.message_id)
        .scalar_subquery()
    )
    query = select(*_TOLD, counted.label("findings")).where(
        visible(standard, viewer, message.c.area_id)
    )
    if wanted.state is not None:
        query = query.where(message.c.state == wanted.state)
    if wanted.before is not None:
        query = query.where(message.c.received_at < wanted.before)
    if wanted.before_id is not None:
        last = message.alias()
        received_at = select(last.c.received_at).where(last.c.message_id == wanted.before_id)
        query = query.where(
            tuple_(message.c.received_at, message.c.message_id)
            < tuple_(received_at.scalar_subquery(), wanted.before_id)
        )
    query = query.order_by(message.c.received_at.desc(), message.c.message_id.desc())
    return list((await session.execute(query.limit(limit))).all())


async def read_message(session: ReadSession, viewer: Viewer, message_id: UUID) -> Any:
    query = select(message).where(
        message.c.message_id == message_id, visible(standard, viewer, message.c.area_id)
    )
    return (await session.execute(query)).first()


async def list_findings(
    session: ReadSession, viewer: Viewer, wanted: MessageFilter, *, limit: int
) -> list[Any]:
    query = select(finding).where(visible(standard, viewer, finding.c.area_id))
    if wanted.message_id is not None:
        query = query.where(finding.c.message_id == wanted.message_id)
    if wanted.code is not None:
        query = query.where(finding.c.code == wanted.code)
    if wanted.before_finding is not None:
        query = query.where(finding.c.finding_id < wanted.before_finding)
    query = query.order_by(finding.c.finding_id.desc()).limit(limit)
    return list((await session.execute(query)).all())
