"""Kept messages once more: after the registration of their sender, or by command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from services.intake.domain.hl7.findings import Finding
from services.intake.domain.hl7.patient import Authority
from services.intake.domain.hl7.reader import read_interchange
from services.intake.domain.hl7.verdict import judge_message
from services.intake.handlers.desk import Desk
from services.intake.handlers.messages import (
    Arrival,
    apply_subjects,
    find_sender,
    is_foreign,
    read_subjects,
    state_of,
)
from services.intake.handlers.visits import BODY_COLUMN
from services.intake.repository.messages import (
    WaitingFor,
    add_findings,
    add_subjects,
    claim_messages,
    settle_message,
)
from services.intake.settings import REPLAY_MESSAGES
from shared.database.work import Actor, Work

WAITING = "waiting_for_registration"
REPLAYABLE = (WAITING, "failed", "test_without_effect")


async def replay_messages(
    desk: Desk, *, actor: Actor, state: str = WAITING, source: WaitingFor | None = None
) -> int:
    """Give kept messages their effect; returns how many got one. What still may have none stays."""
    applied, passed = 0, set[UUID]()
    while True:
        async with desk.database.work(actor) as work:
            rows = await claim_messages(
                work, state, source=source, limit=REPLAY_MESSAGES + len(passed)
            )
            new = [row for row in rows if row.message_id not in passed][:REPLAY_MESSAGES]
            arrivals = [_arrival(desk, row) for row in new]
            await _lock(work, arrivals)
            for row, arrival in zip(new, arrivals, strict=True):
                if await _replay(work, desk, row, arrival):
                    applied += 1
                else:
                    passed.add(row.message_id)
        if not new:
            return applied


async def _lock(work: Work, arrivals: Sequence[Arrival]) -> None:
    subjects = {
        f"subject/{one}"
        for arrival in arrivals
        for one in read_subjects(arrival, ZoneInfo("UTC")).subjects
    }
    await work.lock(*subjects)


def _arrival(desk: Desk, row: Any) -> Arrival:
    body = desk.vault.open(BODY_COLUMN, str(row.message_id), bytes(row.sealed_body))
    message = read_interchange(body).messages[0]
    return Arrival(
        message,
        judge_message(message),
        row.sender,
        body,
        Authority(row.facility_namespace, row.facility_universal_id),
        Authority(row.treating_namespace, row.treating_universal_id),
    )


async def _replay(work: Work, desk: Desk, row: Any, arrival: Arrival) -> bool:
    foreign = await is_foreign(work, arrival, row.bound_source_id)
    arrival = replace(arrival, foreign=foreign)
    source = await find_sender(work, arrival, row.bound_source_id)
    if source is None:
        return False
    state, notes = state_of(arrival, source)
    reading = read_subjects(arrival, ZoneInfo(source.default_zone))
    if state == "applied" and not reading.subjects:
        state = "without_effect"
    await settle_message(
        work,
        row.message_id,
        {
            "state": state,
            "source_id": source.source_id,
            "area_id": source.area_id,
            "applied_at": work.now() if state == "applied" else None,
        },
    )
    await add_subjects(work, row.message_id, reading.subjects)
    findings: tuple[Finding, ...] = reading.findings + notes
    if state == "applied":
        findings += await apply_subjects(work, desk, arrival, reading.subjects)
    await add_findings(work, row.message_id, source.area_id, findings)
    work.audit("message_replayed", "message", row.message_id)
    return bool(state != row.state)
