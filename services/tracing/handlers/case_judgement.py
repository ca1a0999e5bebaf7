"""The evaluator of a case: what all committed facts make of it and of everybody around it.

It writes only the difference to what is stored. Whenever it wrote anything it asks to be run again:
a fact that was stored meanwhile may have looked for this case before our writing could be seen. The
second run starts after the commit, sees that fact, and ends the circle when nothing changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from services.tracing.domain.case import (
    EVENT_TYPES,
    CaseAssessment,
    CaseEvidence,
    area_of_case,
    assess_case,
)
from services.tracing.domain.exposure import Contact, Exposed, Source, merge_degrees
from services.tracing.domain.window import (
    InfectiousWindow,
    infectious_window,
    second_degree_until,
)
from services.tracing.handlers.contact_changes import CaseFacts, write_contacts
from services.tracing.repository.cases import (
    case_id_of,
    isolations_of,
    load_case,
    parse_case_key,
    save_case,
)
from services.tracing.repository.co_locations import co_location_key
from services.tracing.repository.evidence import (
    evidence_of,
    last_word_on,
    residence_of,
    verdicts_on,
)
from services.tracing.repository.exposures import ExposureQuestion, exposures
from services.tracing.repository.flagged import Watching, flag, unflag
from services.tracing.repository.policies import WindowsDocument, windows_in_force, zone_of_area
from services.tracing.repository.watched import own_places
from shared.database.work import AuditDetails, Work
from shared.events.base import Evidence, event_id_of
from shared.events.tracing import CaseChanged
from shared.policy import PolicyInForce, Reader

UNKNOWN_ZONE = ZoneInfo("UTC")
# So many contacts in one go are a crowd, and so long their orders may take.
CROWD = 1_000
CROWD_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Judged:
    """A case as the facts make it, with the policy it was judged by."""

    id: UUID
    person_id: UUID
    disease: str
    area_id: str | None
    assessment: CaseAssessment
    window: InfectiousWindow | None
    policy: PolicyInForce[WindowsDocument] | None


async def judge_cases(work: Work, keys: Sequence[str]) -> None:
    """Judge each of these cases anew; keys as `case_key` makes them."""
    for key in keys:
        person_id, disease = parse_case_key(key)
        await _judge(work, key, person_id=person_id, disease=disease)


async def _judge(work: Work, key: str, *, person_id: UUID, disease: str) -> None:
    case_id = case_id_of(person_id, disease)
    judged = await assess(work, person_id, disease)
    stored = await load_case(work, case_id)
    if judged is not None:
        values = _values(judged)
    elif stored is not None:
        values = await _emptied(work, stored)
    else:
        return
    changed, facts = await _write_case(work, values, stored)
    if changed:
        # Whoever has this person as a contact counts their isolation from this case.
        work.due("person", [str(person_id)])
    contacts: dict[UUID, Contact] = {}
    if judged is not None and judged.window and judged.policy and judged.assessment.standing:
        close, second, sources = await find_contacts(work, judged)
        contacts = merge_degrees(close, second)
        watching = await flag(work, case_id, sources, judged.policy.document.exposure)
    else:
        watching = await unflag(work, case_id, person_id)
    told = await write_contacts(work, facts, contacts)
    # People wait for co-locations, and they are quick to judge. Where a crowd falls with its case,
    # they wait for the orders: alerts hears from the case itself that nothing rests on it.
    fallen = told >= CROWD and not facts.standing
    places = await _co_locations_due(work, case_id, watching, case_changed=changed)
    work.due("co_location", places, after_seconds=CROWD_SECONDS if fallen else 0.0)
    if changed or told or watching.changed:
        work.due("case", [key])


async def _co_locations_due(
    work: Work, case_id: UUID, watching: Watching, *, case_changed: bool
) -> list[str]:
    """Where the case's person stays otherwise than before; everywhere, if what is told of the case
    is other than before."""
    places = set(watching.places)
    if case_changed:
        places |= set(await own_places(work, case_id))
    return [co_location_key(case_id, place_id) for place_id in places]


async def assess(reader: Reader, person_id: UUID, disease: str) -> Judged | None:
    """The case that the committed evidence makes, with window and policy; None without evidence."""
    case_id = case_id_of(person_id, disease)
    evidence = await evidence_of(reader, person_id, disease)
    if not evidence:
        return None
    verdicts = await verdicts_on(reader, case_id)
    area_id = area_of_case(evidence, await residence_of(reader, person_id))
    known_zone = await zone_of_area(reader, area_id)
    zone = known_zone or UNKNOWN_ZONE
    assessment = assess_case(evidence, verdicts, zone)
    assert assessment is not None
    policy = await windows_in_force(
        reader, at=assessment.occurred_at, disease=disease, area_id=area_id
    )
    if policy is None:
        reason = f"{assessment.reason}; no policy says when it was infectious"
        assessment = replace(assessment, reason=reason)
        return Judged(case_id, person_id, disease, area_id, assessment, None, None)
    if known_zone is None:
        zone = ZoneInfo(policy.document.zone_without_area)
        assessment = assess_case(evidence, verdicts, zone)
        assert assessment is not None
    window = infectious_window(assessment, policy.document.window, zone)
    return Judged(case_id, person_id, disease, area_id, assessment, window, policy)


async def find_contacts(
    reader: Reader, judged: Judged
) -> tuple[list[Exposed], list[Exposed], list[Source]]:
    """(close contacts, contacts of contacts, everybody whose further meetings count).

    The rule in words: `domain/exposure.py`. Both degrees come from one primitive.
    """
    assert judged.window is not None
    assert judged.policy is not None
    window, document = judged.window, judged.policy.document
    rule = document.exposure
    case = Source(judged.person_id, window.from_at, window.until_at)
    close = await exposures(reader, ExposureQuestion([case], rule, judged.disease))
    if not document.contact_of_contact.sought:
        return close, [], [case]
    apart = await isolations_of(reader, [item.person_id for item in close], judged.disease)
    between = [
        Source(
            item.person_id,
            item.first_at,
            second_degree_until(
                item.first_at, apart.get(item.person_id, []), window, document.window
            ),
        )
        for item in close
    ]
    known = [judged.person_id, *(item.person_id for item in close)]
    second = await exposures(
        reader, ExposureQuestion(between, rule, judged.disease, not_these=known)
    )
    return close, second, [case, *between]


def _values(judged: Judged) -> dict[str, Any]:
    found, window = judged.assessment, judged.window
    return {
        "id": judged.id,
        "person_id": judged.person_id,
        "disease": judged.disease,
        "classification": found.classification,
        "standing": found.standing,
        "onset_date": found.onset_date,
        "diagnosed_date": found.diagnosed_date,
        "specimen_collected_at": found.specimen_collected_at,
        "reported_at": found.reported_at,
        "occurred_at": found.occurred_at,
        "infectious_from": window.from_at if window else None,
        "infectious_until": window.until_at if window else None,
        "window_basis": window.basis if window else None,
        "window_date": window.day if window else None,
        "area_id": judged.area_id,
        "reason": found.reason,
        "cause_id": found.cause_id,
        "evidence": _named(found.evidence),
        "set_aside": _named(found.set_aside),
        "policy": judged.policy.name if judged.policy else None,
        "exercise": found.exercise,
    }


async def _emptied(reader: Reader, stored: Any) -> dict[str, Any]:
    """A case whose evidence turned out to be none (a result corrected to negative)."""
    last = await last_word_on(reader, stored.person_id, stored.disease)
    values = {
        name: value
        for name, value in stored._mapping.items()
        if name not in ("version", "digest", "recorded_at")
    }
    return values | {
        "standing": False,
        "classification": "discarded",
        "reason": "its evidence was corrected and is none any more",
        "cause_id": event_id_of(EVENT_TYPES[last[0]], last[1], last[2]) if last else None,
        "evidence": [],
        "set_aside": [],
    }


def _named(items: Sequence[CaseEvidence]) -> list[dict[str, Any]]:
    return [{"kind": item.kind, "id": str(item.id), "version": item.version} for item in items]


async def _write_case(
    work: Work, values: dict[str, Any], stored: Any | None
) -> tuple[bool, CaseFacts]:
    """Save and announce a new version if anything differs; returns what contacts need to know."""
    names = sorted(set(values) - {"id"})
    told = "|".join(f"{name}={_plain(values[name])}" for name in names)
    digest = hashlib.blake2b(told.encode(), digest_size=16).hexdigest()
    changed = stored is None or stored.digest != digest
    version = stored.version if stored is not None else 0
    if changed:
        version += 1
        row = values | {"version": version, "digest": digest, "recorded_at": work.now()}
        await save_case(work, row)
        work.announce(_event(row))
        work.audit(
            "case_changed" if values["standing"] else "case_withdrawn", "case", values["id"],
            version=version,
            details=AuditDetails(
                area_id=values["area_id"], reason=values["reason"], policy=values["policy"],
                cause_id=values["cause_id"],
            ),
        )  # fmt: skip
    return changed, CaseFacts(
        id=values["id"],
        person_id=values["person_id"],
        disease=values["disease"],
        version_id=event_id_of(CaseChanged.type, values["id"], version),
        standing=values["standing"],
        reason=values["reason"],
        policy=values["policy"],
        area_id=values["area_id"],
        exercise=values["exercise"],
    )


def _plain(value: Any) -> str:
    """Instants as seconds: the same instant must read the same in every zone."""
    return str(value.timestamp()) if hasattr(value, "timestamp") else str(value)


def _event(row: dict[str, Any]) -> CaseChanged:
    return CaseChanged(
        record_id=row["id"],
        record_version=row["version"],
        occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        exercise=row["exercise"],
        person_id=row["person_id"],
        disease=row["disease"],
        classification=row["classification"],
        standing=row["standing"],
        onset_date=row["onset_date"],
        specimen_collected_at=row["specimen_collected_at"],
        reported_at=row["reported_at"],
        infectious_from=row["infectious_from"],
        infectious_until=row["infectious_until"],
        area_id=row["area_id"],
        reason=row["reason"],
        cause_id=row["cause_id"],
        evidence=tuple(Evidence.model_validate(item) for item in row["evidence"]),
        set_aside=tuple(Evidence.model_validate(item) for item in row["set_aside"]),
        policy=row["policy"],
    )
