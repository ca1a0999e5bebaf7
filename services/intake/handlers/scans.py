"""Scans: the verdict a checkpoint waits for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.intake.domain.checkpoints import CheckpointRule
from services.intake.domain.facts import Scan
from services.intake.domain.references import KnownPerson, PersonReference, PlaceReference
from services.intake.domain.rows import PLACE_UNKNOWN, RowRefused
from services.intake.domain.verdicts import CheckpointFacts, Restriction, Verdict, judge_scan
from services.intake.handlers.batches import FLAG_PLACE_UNKNOWN, Batch, Candidate, RowDoor
from services.intake.handlers.policies import checkpoint_rule_at, read_checkpoint_rules
from services.intake.repository.copies import find_restrictions
from services.intake.tables import scan as scan_table
from shared.database.work import Work
from shared.errors import FieldProblem
from shared.events.intake import ScanRecorded


@dataclass(frozen=True, slots=True)
class _Knowledge:
    rules: list[CheckpointRule]
    restrictions: dict[UUID, list[Restriction]]
    copies_stale: bool


class ScanDoor(RowDoor[Scan]):
    name = "scans"
    record_kind = "scan"
    table = scan_table

    def persons(self, fact: Scan) -> Iterable[PersonReference]:
        return (fact.person,) if fact.person is not None else ()

    def place(self, fact: Scan) -> PlaceReference | None:
        return fact.place

    async def load(self, work: Work, batches: Sequence[Batch[Scan]]) -> _Knowledge:
        batch = batches[0]
        ids = list({person.person_id for person in batch.persons.values()})
        return _Knowledge(
            await read_checkpoint_rules(work),
            await find_restrictions(work, ids),
            batch.desk.copies_stale,
        )

    def decide(self, candidate: Candidate[Scan], batch: Batch[Scan], loaded: _Knowledge) -> None:
        fact = candidate.fact
        place = batch.places[fact.place.id]
        person = batch.persons[fact.person] if fact.person else None
        left_at = batch.in_utc(fact.left_at) if fact.left_at else None
        if left_at is not None and left_at < candidate.occurred_at:
            raise RowRefused(
                FieldProblem("left_at", "before occurred_at", "an instant not before occurred_at")
            )
        if not place.registered:
            candidate.flags.append(FLAG_PLACE_UNKNOWN)
            candidate.answer.warnings += (PLACE_UNKNOWN,)
        fever, policy = False, None
        if fact.temperature_c is not None:
            rule = checkpoint_rule_at(
                loaded.rules, place, candidate.occurred_at, batch.source.default_zone
            )
            if rule is None:
                raise RowRefused(
                    FieldProblem(
                        "occurred_at",
                        "no fever threshold is in force on that day",
                        "a day that an intake.checkpoint policy covers",
                    )
                )
            fever, policy = fact.temperature_c >= rule.fever_from_c, f"{rule.id}@{rule.version}"
        # A permit's number is a person's document: known again, but not to be read.
        permit = str(batch.desk.vault.pseudonym("permit", fact.permit)) if fact.permit else None
        verdict = _judge(candidate, person, loaded, fever=fever)
        candidate.answer.verdict = verdict
        person_id = person.person_id if person else None
        candidate.columns = {
            "person_id": person_id,
            "place_id": place.place_id,
            "left_at": left_at,
            "temperature_c": fact.temperature_c,
            "fever": fever,
            "permit": permit,
            "verdict": verdict.code,
            "reason": verdict.reason,
            "policy": policy,
        }
        candidate.event = ScanRecorded(
            record_id=candidate.record_id,
            record_version=candidate.revision,
            occurred_at=candidate.occurred_at,
            recorded_at=batch.now,
            person_id=person_id,
            place_id=place.place_id,
            place_kind=place.kind,
            place_area_id=place.area_id,
            residence_area_id=person.residence_area_id if person else None,
            left_at=left_at,
            temperature_c=fact.temperature_c,
            fever=fever,
            permit=permit,
            source_id=batch.source.source_id,
            status="withdrawn" if fact.withdrawn else "recorded",
        )


def _judge(
    candidate: Candidate[Scan], person: KnownPerson | None, known: _Knowledge, *, fever: bool
) -> Verdict:
    if candidate.fact.withdrawn:
        return Verdict("check", "withdrawn")
    who = "none" if person is None else "placeholder" if person.placeholder else "known"
    return judge_scan(
        CheckpointFacts(
            occurred_at=candidate.occurred_at,
            place_id=candidate.fact.place.id,
            person=who,  # type: ignore[arg-type]
            permit=candidate.fact.permit is not None,
            fever=fever,
            restrictions=known.restrictions.get(person.person_id, ()) if person else (),
            copies_stale=known.copies_stale,
        )
    )
