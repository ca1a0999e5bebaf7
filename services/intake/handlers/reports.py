"""Sentinel reports in JSON, read for fever by the same list that reads clinic visits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic_core import to_json

from services.intake.domain.facts import SentinelReport
from services.intake.domain.hl7.syndromes import SyndromeDocument, find_terms
from services.intake.domain.references import PersonReference, PlaceReference
from services.intake.domain.rows import PLACE_UNKNOWN, RowRefused
from services.intake.handlers.batches import FLAG_PLACE_UNKNOWN, Batch, Candidate, RowDoor
from services.intake.handlers.policies import syndromes_by_area
from services.intake.tables import report as report_table
from shared.database.work import Work
from shared.errors import FieldProblem
from shared.events.intake import ReportRecorded

# By the source's area.
Documents = dict[str | None, SyndromeDocument]


class ReportDoor(RowDoor[SentinelReport]):
    name = "reports"
    record_kind = "report"
    table = report_table

    def persons(self, fact: SentinelReport) -> Iterable[PersonReference]:
        return (fact.person,) if fact.person is not None else ()

    def place(self, fact: SentinelReport) -> PlaceReference | None:
        return fact.place

    async def load(self, work: Work, batches: Sequence[Batch[SentinelReport]]) -> Documents:
        areas = {batch.source.area_id for batch in batches}
        return await syndromes_by_area(work, batches[0].desk, batches[0].now, areas)

    def decide(
        self,
        candidate: Candidate[SentinelReport],
        batch: Batch[SentinelReport],
        loaded: Documents,
    ) -> None:
        fact, document = candidate.fact, loaded[batch.source.area_id]
        place = batch.place_of(fact.place)
        person = batch.persons[fact.person] if fact.person else None
        until_at = batch.in_utc(fact.until_at) if fact.until_at else None
        if until_at is not None and until_at < candidate.occurred_at:
            raise RowRefused(
                FieldProblem("until_at", "before occurred_at", "an instant not before occurred_at")
            )
        if place is None or not place.registered:
            candidate.flags.append(FLAG_PLACE_UNKNOWN)
            candidate.answer.warnings += (PLACE_UNKNOWN,)
        fever, is_read = read_fever(fact, document)
        reading = document.reading if is_read else None
        candidate.columns = {
            "kind": fact.kind,
            "person_id": person.person_id if person else None,
            "person_count": fact.person_count,
            "place_id": place.place_id if place else None,
            "until_at": until_at,
            "temperature_c": fact.temperature_c,
            "fever": fever,
            "reading": reading,
            "sealed_symptoms": _seal_symptoms(candidate, batch),
        }
        candidate.event = ReportRecorded(
            record_id=candidate.record_id,
            record_version=candidate.revision,
            occurred_at=candidate.occurred_at,
            recorded_at=batch.now,
            kind=fact.kind,
            place_id=place.place_id if place else None,
            place_area_id=place.area_id if place else None,
            residence_area_id=person.residence_area_id if person else None,
            person_id=person.person_id if person else None,
            person_count=fact.person_count,
            until_at=until_at,
            fever=fever,
            syndromes=(document.syndrome,) if fever else (),
            reading=reading,
            source_id=batch.source.source_id,
            test=batch.source.is_test,
            status="withdrawn" if fact.withdrawn else "recorded",
        )


def read_fever(fact: SentinelReport, document: SyndromeDocument) -> tuple[bool, bool]:
    """(is it a fever, did the list decide it). What the sender says itself goes first."""
    if fact.fever is not None:
        return fact.fever, False
    warm = fact.temperature_c is not None and fact.temperature_c >= document.temperature_c
    told = any(find_terms(symptom, document) for symptom in fact.symptoms)
    return warm or told, fact.temperature_c is not None or bool(fact.symptoms)


def _seal_symptoms(
    candidate: Candidate[SentinelReport], batch: Batch[SentinelReport]
) -> bytes | None:
    """Free text may name somebody."""
    if not candidate.fact.symptoms:
        return None
    row = f"{candidate.record_id}/{candidate.revision}"
    return batch.desk.vault.seal("report.sealed_symptoms", row, to_json(candidate.fact.symptoms))
