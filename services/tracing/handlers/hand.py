"""What a person decides about a case: open, discard, open again. Each with author and reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from services.tracing.domain.case import Verdict
from services.tracing.errors import CaseNotFound
from services.tracing.repository.cases import case_id_of, case_key
from services.tracing.repository.evidence import (
    Opening,
    evidence_of,
    residence_of,
    store_opening,
    store_verdict,
)
from services.tracing.repository.pages import find_case, sees_area
from shared.access import Viewer
from shared.database.work import AuditDetails, Work
from shared.errors import FieldProblem, InvalidPayload
from shared.events.tracing import Classification
from shared.ids import new_id


@dataclass(frozen=True, slots=True)
class OpenCase:
    """A case to be opened by hand. `reported_at` is when it was reported; None: now."""

    person_id: UUID
    disease: str
    classification: Classification
    reason: str
    onset_date: date | None = None
    reported_at: datetime | None = None
    area_id: str | None = None


async def open_case(work: Work, viewer: Viewer, command: OpenCase) -> UUID:
    """Keep the opening; the case follows when it is judged. Returns the case's id.

    Raises `InvalidPayload` when the area it would belong to is unknown or not the viewer's.
    """
    residence = await residence_of(work, command.person_id)
    area_id = residence or command.area_id
    if not await sees_area(work, viewer, area_id):
        raise InvalidPayload(
            "the case would belong to an area that is not yours",
            "name one of your areas, or let the area where the person lives open it",
            [FieldProblem("area_id", "unknown or outside your areas", "an area of yours")],
        )
    opening = Opening(
        id=new_id(),
        person_id=command.person_id,
        disease=command.disease,
        classification=command.classification,
        reported_at=command.reported_at or work.now(),
        author=viewer.subject,
        reason=command.reason,
        opened_at=work.now(),
        onset_date=command.onset_date,
        area_id=command.area_id,
    )
    await store_opening(work, opening)
    case_id = case_id_of(command.person_id, command.disease)
    work.audit(
        "case_opened_by_hand", "case", case_id,
        details=AuditDetails(area_id=area_id, reason=command.reason, cause_id=opening.id),
    )  # fmt: skip
    work.due("case", [case_key(command.person_id, command.disease)])
    return case_id


async def decide_case(
    work: Work, viewer: Viewer, case_id: UUID, *, action: Literal["discard", "reopen"], reason: str
) -> None:
    """Discard a case, or take that back; what rests on it follows. Raises `CaseNotFound`."""
    found = await find_case(work, viewer, case_id)
    if found is None:
        raise CaseNotFound("no such case in your areas", "check the id and your areas")
    known = await evidence_of(work, found.person_id, found.disease) if action == "discard" else []
    verdict = Verdict(
        id=new_id(),
        action=action,
        author=viewer.subject,
        at=work.now(),
        covered=frozenset(item.id for item in known),
    )
    await store_verdict(work, case_id, verdict, reason)
    work.audit(
        f"case_{action}", "case", case_id, version=found.version,
        details=AuditDetails(area_id=found.area_id, reason=reason, cause_id=verdict.id),
    )  # fmt: skip
    work.due("case", [case_key(found.person_id, found.disease)])
