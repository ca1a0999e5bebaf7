"""One specimen: its answers folded from all its reports, one result record per disease."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from services.intake.domain.hl7.findings import Finding
from services.intake.domain.hl7.laboratory import LabReport, read_laboratory
from services.intake.domain.hl7.reader import read_interchange
from services.intake.domain.hl7.specimens import AnalyteDocument
from services.intake.domain.laboratory import (
    SpecimenPart,
    SpecimenReading,
    order_parts,
    read_onset,
    read_specimen,
)
from services.intake.domain.references import KnownPerson, KnownSource, PersonReference
from services.intake.handlers.desk import Desk
from services.intake.handlers.patients import resolve_patient
from services.intake.handlers.policies import analytes_at
from services.intake.handlers.visits import BODY_COLUMN, POLICY_BY_RECEIPT
from services.intake.repository.messages import read_results, read_subject, write_result
from services.intake.repository.sources import find_source
from shared.database.work import Work
from shared.errors import ConfigurationError
from shared.events.intake import ResultReported
from shared.ids import derived_id


def specimen_id_of(report: LabReport, sender: str) -> UUID | None:
    """A specimen's number with its whole authority; without one it counts for its sender only."""
    if report.specimen is None:
        return None
    authority = report.specimen.authority.text if report.specimen.authority else sender
    return derived_id("specimen", report.specimen.number, authority)


@dataclass(frozen=True, slots=True)
class _Scene:
    specimen_id: UUID
    source: KnownSource
    person: KnownPerson
    parts: list[SpecimenPart]
    document: AnalyteDocument

    @property
    def area_id(self) -> str | None:
        """A case belongs to where the person lives; a laboratory works for many areas."""
        return self.person.residence_area_id or self.source.area_id


async def fold_specimen(work: Work, desk: Desk, specimen_id: UUID) -> tuple[Finding, ...]:
    """Read the specimen anew from every message about it and announce what is different.

    The caller holds the lock on the specimen. An answer that no report gives any more is withdrawn.
    """
    parts: list[SpecimenPart] = []
    sources: dict[UUID, KnownSource] = {}
    for row in await read_subject(work, specimen_id):
        source = sources.get(row.source_id) or await find_source(work, row.source_id)
        if source is not None:
            sources[row.source_id] = source
            parts += _read_parts(desk, row, source, specimen_id)
    if not parts:
        return ()
    ordered = order_parts(parts)
    newest = ordered[-1]
    identity = await resolve_patient(
        work,
        desk,
        newest.report.patient,
        sender=newest.sender,
        fallback=PersonReference(None, "specimen", str(specimen_id)),
    )
    assert identity.person is not None, "the fallback names somebody"
    source = sources[newest.source_id]
    document, notes = await _document(work, desk, newest, source)
    scene = _Scene(specimen_id, source, identity.person, ordered, document)
    await _write_answers(work, desk, scene)
    return notes + identity.findings


def _read_parts(desk: Desk, row: Any, source: KnownSource, specimen_id: UUID) -> list[SpecimenPart]:
    body = desk.vault.open(BODY_COLUMN, str(row.message_id), bytes(row.sealed_body))
    message = read_interchange(body).messages[0]
    return [
        SpecimenPart(report, bytes(row.fingerprint), row.received_at, row.source_id, row.sender)
        for report in read_laboratory(message, ZoneInfo(source.default_zone))
        if specimen_id_of(report, row.sender) == specimen_id
    ]


async def _document(
    work: Work, desk: Desk, newest: SpecimenPart, source: KnownSource
) -> tuple[AnalyteDocument, tuple[Finding, ...]]:
    try:
        return await analytes_at(work, desk, newest.reported_at, source.area_id), ()
    except ConfigurationError:
        return await analytes_at(work, desk, work.now(), source.area_id), (POLICY_BY_RECEIPT,)


async def _write_answers(work: Work, desk: Desk, scene: _Scene) -> None:
    before = await read_results(work, scene.specimen_id)
    readings = {one.answer.disease: one for one in read_specimen(scene.parts, scene.document)}
    for disease, reading in sorted(readings.items()):
        await _write(work, desk, scene, _Answer(disease, reading, before.get(disease)))
    for disease in sorted(before.keys() - readings.keys()):
        await _write(work, desk, scene, _Answer(disease, None, before[disease]))


@dataclass(frozen=True, slots=True)
class _Answer:
    """`reading` None: the answer was taken back."""

    disease: str
    reading: SpecimenReading | None
    before: Any


async def _write(work: Work, desk: Desk, scene: _Scene, answer: _Answer) -> None:
    event = _event(work, scene, answer)
    announced = desk.vault.fingerprint(
        event.model_dump_json(exclude={"record_version", "recorded_at"}).encode()
    )
    if answer.before is not None and bytes(answer.before.announced) == announced:
        return
    work.announce(event)
    await write_result(
        work,
        {
            "result_id": event.record_id,
            "version": event.record_version,
            "specimen_id": scene.specimen_id,
            "disease": answer.disease,
            "source_id": event.source_id,
            "person_id": event.person_id,
            "area_id": event.area_id,
            "outcome": event.outcome,
            "stage": event.stage,
            "status": event.status,
            "onset_date": event.onset_date,
            "collected_at": event.occurred_at,
            "reported_at": event.reported_at,
            "analytes": list(event.analytes),
            "policy": f"{scene.document.id}@{scene.document.version}",
            "test": event.test,
            "announced": announced,
            "recorded_at": event.recorded_at,
        },
    )


def _event(work: Work, scene: _Scene, answer: _Answer) -> ResultReported:
    before, reading = answer.before, answer.reading
    newest = scene.parts[-1]
    return ResultReported(
        record_id=derived_id("result", scene.specimen_id, answer.disease),
        record_version=before.version + 1 if before is not None else 1,
        occurred_at=reading.collected_at if reading else before.collected_at,
        recorded_at=work.now(),
        person_id=scene.person.person_id,
        specimen_id=scene.specimen_id,
        disease=answer.disease,
        outcome=reading.answer.outcome if reading else before.outcome,
        stage=reading.answer.stage if reading else before.stage,
        onset_date=read_onset(scene.parts),
        reported_at=reading.reported_at if reading else newest.reported_at,
        area_id=scene.area_id,
        analytes=reading.answer.analytes if reading else (),
        source_id=scene.source.source_id,
        test=scene.source.is_test,
        status="recorded" if reading else "withdrawn",
    )
