"""Measured proximity of two persons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.intake.domain.facts import Proximity
from services.intake.domain.references import PersonReference, PlaceReference
from services.intake.domain.rows import RowRefused
from services.intake.handlers.batches import Batch, Candidate, RowDoor
from services.intake.tables import encounter as encounter_table
from shared.errors import FieldProblem
from shared.events.intake import EncounterMeasured


class EncounterDoor(RowDoor[Proximity]):
    name = "encounters"
    record_kind = "encounter"
    table = encounter_table

    def persons(self, fact: Proximity) -> Iterable[PersonReference]:
        return fact.person, fact.other_person

    def place(self, fact: Proximity) -> PlaceReference | None:
        return fact.place

    def decide(
        self,
        candidate: Candidate[Proximity],
        batch: Batch[Proximity],
        loaded: Any,  # noqa: ARG002
    ) -> None:
        fact = candidate.fact
        one, other = batch.persons[fact.person], batch.persons[fact.other_person]
        if one.person_id == other.person_id:
            raise RowRefused(
                FieldProblem("other_person", "is the same person", "two different persons")
            )
        place = batch.place_of(fact.place)
        candidate.columns = {
            "person_id": one.person_id,
            "other_person_id": other.person_id,
            "duration_seconds": fact.duration_seconds,
            "place_id": place.place_id if place else None,
        }
        candidate.event = EncounterMeasured(
            record_id=candidate.record_id,
            record_version=candidate.revision,
            occurred_at=candidate.occurred_at,
            recorded_at=batch.now,
            person_id=one.person_id,
            other_person_id=other.person_id,
            duration_seconds=fact.duration_seconds,
            area_id=place.area_id if place else None,
            source_id=batch.source.source_id,
            status="withdrawn" if fact.withdrawn else "recorded",
        )
