"""Groups: who shares a household, a carriage, a class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.intake.domain.facts import Membership
from services.intake.domain.references import PersonReference
from services.intake.domain.rows import RowRefused
from services.intake.handlers.batches import Batch, Candidate, RowDoor
from services.intake.tables import membership as membership_table
from shared.errors import FieldProblem
from shared.events.intake import Declared, MembershipDeclared


class MembershipDoor(RowDoor[Membership]):
    name = "memberships"
    record_kind = "membership"
    table = membership_table

    def persons(self, fact: Membership) -> Iterable[PersonReference]:
        return (fact.person,)

    def decide(
        self,
        candidate: Candidate[Membership],
        batch: Batch[Membership],
        loaded: Any,  # noqa: ARG002
    ) -> None:
        fact = candidate.fact
        person = batch.persons[fact.person]
        until_at = batch.in_utc(fact.until_at) if fact.until_at else None
        if until_at is not None and until_at < candidate.occurred_at:
            raise RowRefused(
                FieldProblem("until_at", "before occurred_at", "an instant not before occurred_at")
            )
        # The code of a household is an address: its id must not be guessed from it.
        group_id = batch.desk.vault.pseudonym(f"group:{fact.group_kind}", fact.group_code)
        candidate.columns = {
            "person_id": person.person_id,
            "group_id": group_id,
            "group_kind": fact.group_kind,
            "until_at": until_at,
        }
        candidate.event = MembershipDeclared(
            record_id=candidate.record_id,
            record_version=candidate.revision,
            occurred_at=candidate.occurred_at,
            recorded_at=batch.now,
            person_id=person.person_id,
            group_id=group_id,
            group_kind=fact.group_kind,
            until_at=until_at,
            declared=Declared(source_id=batch.source.source_id),
            status="withdrawn" if fact.withdrawn else "recorded",
        )
