"""Laboratory results in JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.intake.domain.facts import LabResult
from services.intake.domain.references import PersonReference, PlaceReference
from services.intake.handlers.batches import Batch, Candidate, RowDoor
from services.intake.tables import result as result_table
from shared.events.intake import ResultReported
from shared.ids import derived_id


class ResultDoor(RowDoor[LabResult]):
    name = "results"
    record_kind = "result"
    table = result_table

    def persons(self, fact: LabResult) -> Iterable[PersonReference]:
        return (fact.person,)

    def place(self, fact: LabResult) -> PlaceReference | None:
        return fact.place

    def decide(
        self,
        candidate: Candidate[LabResult],
        batch: Batch[LabResult],
        loaded: Any,  # noqa: ARG002
    ) -> None:
        fact = candidate.fact
        person = batch.persons[fact.person]
        place = batch.places[fact.place.id] if fact.place else None
        # A case belongs to where the person lives; a laboratory works for many areas.
        area_id = (place.area_id if place else None) or person.residence_area_id
        reported_at = batch.in_utc(fact.reported_at)
        specimen_id = derived_id("specimen", batch.source.source_id, fact.specimen)
        candidate.columns = {
            "person_id": person.person_id,
            "specimen_id": specimen_id,
            "disease": fact.disease,
            "outcome": fact.outcome,
            "stage": fact.stage,
            "reported_at": reported_at,
            "onset_date": fact.onset_date,
            "analytes": ",".join(fact.analytes),
            "place_id": place.place_id if place else None,
        }
        candidate.event = ResultReported(
            record_id=candidate.record_id,
            record_version=candidate.revision,
            occurred_at=candidate.occurred_at,
            recorded_at=batch.now,
            person_id=person.person_id,
            specimen_id=specimen_id,
            disease=fact.disease,
            outcome=fact.outcome,
            stage=fact.stage,
            onset_date=fact.onset_date,
            reported_at=reported_at,
            area_id=area_id or batch.source.area_id,
            analytes=fact.analytes,
            source_id=batch.source.source_id,
            test=batch.source.is_test,
            status="withdrawn" if fact.withdrawn else "recorded",
        )
