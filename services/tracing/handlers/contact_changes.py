"""Writes the difference between the contacts a case should have and those that are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.tracing.domain.exposure import Contact
from services.tracing.repository.contacts import (
    contact_id_of,
    load_contacts,
    save_contacts,
    stored_digests,
    withdraw_contacts,
)
from services.tracing.repository.evidence import revised_among
from shared.database.work import AuditDetails, Work
from shared.events.base import event_id_of
from shared.events.intake import (
    EncounterMeasured,
    LinkDeclared,
    MembershipDeclared,
    ScanRecorded,
)
from shared.events.tracing import ContactChanged

# The log takes no record over 900,000 bytes. Every evidence stays in the table; the event tells of
# the first so many, and its reasons count all of them.
EVIDENCE_TOLD = 1_000

SAID_AS_STORED = (
    "recorded_at", "person_id", "via_person_id", "degree", "first_exposure_at", "last_exposure_at",
    "minutes", "reasons", "standing", "reason", "cause_id", "policy",
)  # fmt: skip

EVENT_TYPES = {
    "visit": ScanRecorded.type,
    "encounter": EncounterMeasured.type,
    "membership": MembershipDeclared.type,
    "link": LinkDeclared.type,
}


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What a contact says of its case; `version_id` names the version that it follows from."""

    id: UUID
    person_id: UUID
    disease: str
    version_id: UUID
    standing: bool
    reason: str
    policy: str | None
    area_id: str | None
    exercise: bool


async def write_contacts(work: Work, case: CaseFacts, wanted: Mapping[UUID, Contact]) -> int:
    """Save, announce and audit contacts that are new, changed or gone: how many."""
    # A case that fell is judged some times more: what fell with it need not be read again.
    stored = await stored_digests(work, case.id, only_standing=not wanted)
    rows: list[dict[str, Any]] = []
    for person_id in sorted(wanted):
        contact, known = wanted[person_id], stored.get(person_id)
        digest = contact.digest(case.policy)
        if known is None or not known.standing or known.digest != digest:
            version = known.version + 1 if known else 1
            rows.append(_row(work, case, contact) | {"version": version, "digest": digest})
    gone = sorted(
        person_id for person_id, row in stored.items() if row.standing and person_id not in wanted
    )
    await save_contacts(work, rows)
    if gone:
        fallen = await _withdrawn(work, case, gone)
        await withdraw_contacts(work, fallen)
        rows += fallen
    for row in rows:
        work.announce(_event(case, row))
        work.audit(
            "contact_changed" if row["standing"] else "contact_withdrawn", "contact", row["id"],
            version=row["version"],
            details=AuditDetails(
                area_id=case.area_id, reason=row["reason"], policy=row["policy"],
                cause_id=row["cause_id"],
            ),
        )  # fmt: skip
    return len(rows)


def _row(work: Work, case: CaseFacts, contact: Contact) -> dict[str, Any]:
    exposed = contact.exposed
    return {
        "id": contact_id_of(case.id, contact.person_id),
        "case_id": case.id,
        "person_id": contact.person_id,
        "via_person_id": contact.via_person_id,
        "degree": contact.degree,
        "first_exposure_at": exposed.first_at,
        "last_exposure_at": exposed.last_at,
        "minutes": exposed.minutes,
        "reasons": exposed.reasons,
        "evidence": exposed.evidence,
        "standing": True,
        "reason": contact.reason,
        "cause_id": case.version_id,
        "policy": case.policy,
        "recorded_at": work.now(),
    }


async def _withdrawn(
    work: Work, case: CaseFacts, person_ids: Sequence[UUID]
) -> list[dict[str, Any]]:
    """The next versions of contacts that nothing carries any more, each with what took it away."""
    found = await load_contacts(work, case.id, person_ids)
    revised = await revised_evidence(work, found) if case.standing else {}
    for row in found:
        withdraw(row, case, revised, now=work.now())
    return found


def withdraw(
    row: dict[str, Any], case: CaseFacts, revised: Mapping[UUID, int], *, now: datetime
) -> None:
    """Make a stored row its next version, which does not stand, with what took it away."""
    row["standing"] = False
    row["version"] += 1
    row["recorded_at"] = now
    row["digest"] = ""
    row["cause_id"] = case.version_id
    if not case.standing:
        row["reason"] = f"its case does not stand: {case.reason}"
    elif lost := [item for item in row["evidence"] if item.id in revised]:
        first = lost[0]
        row["reason"] = "what it rested on was withdrawn or revised"
        row["cause_id"] = event_id_of(EVENT_TYPES[first.kind], first.id, revised[first.id])
    else:
        row["reason"] = "no meeting counts any more by the case's window and policy"


async def revised_evidence(work: Work, rows: Sequence[dict[str, Any]]) -> dict[UUID, int]:
    """Of all that these rows rest on: what was withdrawn or revised since, with its version now."""
    versions: dict[str, dict[UUID, int]] = {}
    for row in rows:
        for item in row["evidence"]:
            versions.setdefault(item.kind, {})[item.id] = item.version
    return await revised_among(work, versions)


def _event(case: CaseFacts, row: Mapping[str, Any]) -> ContactChanged:
    return ContactChanged.model_validate(
        {name: row[name] for name in SAID_AS_STORED}
        | {
            "record_id": row["id"],
            "record_version": row["version"],
            "occurred_at": row["first_exposure_at"],
            "exercise": case.exercise,
            "case_id": case.id,
            "case_person_id": case.person_id,
            "disease": case.disease,
            "evidence": row["evidence"][:EVIDENCE_TOLD],
        }
    )
