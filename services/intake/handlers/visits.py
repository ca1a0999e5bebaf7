"""One clinic visit: folded from all its messages, announced as one report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic_core import to_json

from services.intake.domain.hl7.admission import ClinicEncounter, VisitKey, read_admission
from services.intake.domain.hl7.findings import Finding
from services.intake.domain.hl7.reader import read_interchange
from services.intake.domain.hl7.syndromes import SyndromeDocument, read_syndrome
from services.intake.domain.references import KnownSource
from services.intake.domain.visits import Visit, VisitPart, fold_visit
from services.intake.handlers.desk import Desk
from services.intake.handlers.patients import Identity, resolve_patient
from services.intake.handlers.policies import syndromes_at
from services.intake.repository.areas import read_areas
from services.intake.repository.messages import read_encounter, read_subject, write_encounter
from services.intake.repository.sources import find_by_facility, find_source
from shared.database.work import Work
from shared.errors import ConfigurationError
from shared.events.intake import ReportRecorded
from shared.ids import derived_id

BODY_COLUMN = "message.sealed_body"
POLICY_BY_RECEIPT = Finding(
    "policy_by_receipt", "EVN-2", "no policy is in force on the day of the event; today's was used"
)


def encounter_id_of(key: VisitKey) -> UUID:
    """PV1-19 with its whole authority, name included."""
    return derived_id("clinic_encounter", key.text)


@dataclass(frozen=True, slots=True)
class _Scene:
    """Where the visit took place and how it reads."""

    source: KnownSource
    test: bool
    document: SyndromeDocument
    identity: Identity
    residence_area_id: str | None


async def fold_encounter(work: Work, desk: Desk, encounter_id: UUID) -> tuple[Finding, ...]:
    """Read the visit anew from every message about it and announce what is different.

    The caller holds the lock on the visit, so what is read here is all that was committed.
    """
    rows = await read_subject(work, encounter_id)
    sources = {one: await find_source(work, one) for one in {row.source_id for row in rows}}
    known = [(row, source) for row in rows if (source := sources.get(row.source_id)) is not None]
    parts = [_read_part(desk, row, source) for row, source in known]
    if not parts:
        return ()
    visit = fold_visit(parts)
    own_source = next(s for _, s in known if s.source_id == visit.newest.source_id)
    treating = await find_by_facility(
        work,
        visit.encounter.treating_facility.namespace,
        visit.encounter.treating_facility.universal_id,
    )
    source = treating or own_source
    document, notes = await _document(work, desk, visit, source)
    identity = await resolve_patient(
        work, desk, visit.encounter.patient, sender=visit.newest.sender
    )
    residence = await _find_residence(work, visit.encounter.residence_code, identity)
    scene = _Scene(source, source.is_test or own_source.is_test, document, identity, residence)
    await _write(work, desk, _Folded(encounter_id, visit, scene, len(parts)))
    return notes + identity.findings


def _read_part(desk: Desk, row: Any, source: KnownSource) -> VisitPart:
    encounter = read_kept_admission(desk, row, source)
    return VisitPart(encounter, bytes(row.fingerprint), row.received_at, row.source_id, row.sender)


def read_kept_admission(desk: Desk, row: Any, source: KnownSource) -> ClinicEncounter:
    body = desk.vault.open(BODY_COLUMN, str(row.message_id), bytes(row.sealed_body))
    return read_admission(read_interchange(body).messages[0], ZoneInfo(source.default_zone))


async def _document(
    work: Work, desk: Desk, visit: Visit, source: KnownSource
) -> tuple[SyndromeDocument, tuple[Finding, ...]]:
    try:
        return await syndromes_at(work, desk, visit.occurred_at, source.area_id), ()
    except ConfigurationError:
        # An impossible date must not keep a visit out of sight.
        return await syndromes_at(work, desk, work.now(), source.area_id), (POLICY_BY_RECEIPT,)


async def _find_residence(work: Work, code: str, identity: Identity) -> str | None:
    """The registered area goes first; a county code counts when some tree of ours knows it."""
    if identity.person is not None and identity.person.residence_area_id:
        return identity.person.residence_area_id
    if not code:
        return None
    candidates = [f"{scheme}:{code}" for scheme in ("cn", "us")]
    areas = await read_areas(work, candidates)
    return next((one for one in candidates if one in areas), None)


@dataclass(frozen=True, slots=True)
class _Folded:
    encounter_id: UUID
    visit: Visit
    scene: _Scene
    messages: int


async def _write(work: Work, desk: Desk, folded: _Folded) -> None:
    scene, visit = folded.scene, folded.visit
    reading = read_syndrome(visit.encounter, scene.document)
    before = await read_encounter(work, folded.encounter_id)
    version = before.version if before else 0
    event = ReportRecorded(
        record_id=folded.encounter_id,
        record_version=version + 1,
        occurred_at=visit.occurred_at,
        recorded_at=work.now(),
        kind=scene.source.kind,
        place_id=scene.source.place_id,
        place_area_id=scene.source.area_id,
        residence_area_id=scene.residence_area_id,
        person_id=scene.identity.person.person_id if scene.identity.person else None,
        fever=reading.is_signal,
        syndromes=(reading.syndrome,) if reading.is_signal else (),
        reading=reading.document,
        source_id=scene.source.source_id,
        test=scene.test,
    )
    announced = desk.vault.fingerprint(
        event.model_dump_json(exclude={"record_version", "recorded_at"}).encode()
    )
    changed = before is None or bytes(before.announced) != announced
    if changed:
        work.announce(event)
    reasons = sorted(f"{one.field}: {one.matched}" for one in reading.reasons)
    values = _columns(desk, folded, work.now())
    values |= {
        "version": version + 1 if changed else version,
        "fever": reading.is_signal,
        "reading": reading.document,
        "reasons": reasons,
        "announced": announced,
    }
    await write_encounter(work, values)


def _columns(desk: Desk, folded: _Folded, now: datetime) -> dict[str, Any]:
    scene, encounter = folded.scene, folded.visit.encounter
    told = [*encounter.chief_complaints, *encounter.triage_notes, encounter.admit_reason]
    return {
        "encounter_id": folded.encounter_id,
        "source_id": scene.source.source_id,
        "person_id": scene.identity.person.person_id if scene.identity.person else None,
        "place_id": scene.source.place_id,
        "area_id": scene.source.area_id,
        "residence_area_id": scene.residence_area_id,
        "kind": scene.source.kind,
        "patient_class": encounter.patient_class,
        "visit_type": encounter.visit_type,
        "occurred_at": folded.visit.occurred_at,
        "event_at": folded.visit.event_at,
        "discharged_at": encounter.discharged_at,
        "died": encounter.died,
        "temperature_c": encounter.temperature_c,
        "sealed_complaints": desk.vault.seal(
            "clinic_encounter.sealed_complaints", str(folded.encounter_id), to_json(told)
        ),
        "messages": folded.messages,
        "test": scene.test,
        "recorded_at": now,
    }
