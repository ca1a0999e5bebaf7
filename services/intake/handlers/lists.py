"""Imported lists: a verdict for each row, a case or a link for each good one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from services.intake.domain.facts import DeclaredCase, DeclaredLink
from services.intake.domain.lists import (
    ListColumns,
    ListRequest,
    ListUnreadable,
    decode_list,
    read_list,
)
from services.intake.domain.references import PersonReference
from services.intake.domain.rows import ArrivedRow
from services.intake.handlers.batches import Batch, Candidate, Delivery, RowDoor
from services.intake.handlers.desk import Desk
from services.intake.handlers.policies import list_columns_at
from services.intake.handlers.rows import take_rows
from services.intake.repository.lists import add_list
from services.intake.settings import LIST_ROWS_MAX
from services.intake.tables import declaration as declaration_table
from services.intake.tables import link as link_table
from shared.database.work import Work
from shared.errors import BadRequest, TooLarge
from shared.events.intake import CaseDeclared, Declared, LinkDeclared
from shared.ids import new_id


class _ListDoor:
    """What both kinds of list share: the file is kept, sealed and whole."""

    def __init__(self, kind: str, disease: str, body: bytes) -> None:
        self.list_id = new_id()
        self._kind, self._disease, self._body = kind, disease, body

    async def keep(self, work: Work, batch: Batch[Any], count: int) -> None:
        await add_list(
            work,
            {
                "list_id": self.list_id,
                "source_id": batch.source.source_id,
                "kind": self._kind,
                "disease": self._disease,
                "rows": count,
                "sealed_body": batch.desk.vault.seal(
                    "imported_list.sealed_body", str(self.list_id), self._body
                ),
                "received_at": batch.now,
            },
        )
        work.audit("list_imported", "list", self.list_id)

    def declared(self, batch: Batch[Any]) -> Declared:
        return Declared(source_id=batch.source.source_id, list_id=self.list_id)


class CaseListDoor(_ListDoor, RowDoor[DeclaredCase]):
    name = "case-lists"
    record_kind = "declaration"
    table = declaration_table
    counts_revisions = True

    def persons(self, fact: DeclaredCase) -> Iterable[PersonReference]:
        return (fact.person,)

    def kept_id(self, batch: Batch[Any], external_id: str) -> str:
        return str(batch.desk.vault.pseudonym(f"case:{self._disease}", external_id))

    async def load(self, work: Work, batches: Sequence[Batch[DeclaredCase]]) -> None:
        for batch in batches:
            await self.keep(work, batch, len(batch.persons))

    def decide(
        self,
        candidate: Candidate[DeclaredCase],
        batch: Batch[DeclaredCase],
        loaded: Any,  # noqa: ARG002
    ) -> None:
        fact = candidate.fact
        person = batch.persons[fact.person]
        area_id = person.residence_area_id or batch.source.area_id
        candidate.columns = {
            "person_id": person.person_id,
            "disease": fact.disease,
            "classification": fact.classification,
            "onset_date": fact.onset_date,
            "reported_date": fact.reported_date,
            "diagnosed_date": fact.diagnosed_date,
            "area_id": area_id,
        }
        candidate.event = CaseDeclared(
            record_id=candidate.record_id,
            record_version=candidate.revision,
            occurred_at=candidate.occurred_at,
            recorded_at=batch.now,
            person_id=person.person_id,
            disease=fact.disease,
            classification=fact.classification,
            onset_date=fact.onset_date,
            reported_date=fact.reported_date,
            diagnosed_date=fact.diagnosed_date,
            area_id=area_id,
            declared=self.declared(batch),
        )


class LinkListDoor(_ListDoor, RowDoor[DeclaredLink]):
    name = "link-lists"
    record_kind = "link"
    table = link_table
    counts_revisions = True

    def persons(self, fact: DeclaredLink) -> Iterable[PersonReference]:
        return fact.person, fact.other_person

    def kept_id(self, batch: Batch[Any], external_id: str) -> str:
        return str(batch.desk.vault.pseudonym(f"link:{self._disease}", external_id))

    async def load(self, work: Work, batches: Sequence[Batch[DeclaredLink]]) -> None:
        for batch in batches:
            await self.keep(work, batch, len(batch.persons))

    def decide(
        self,
        candidate: Candidate[DeclaredLink],
        batch: Batch[DeclaredLink],
        loaded: Any,  # noqa: ARG002
    ) -> None:
        fact = candidate.fact
        one, other = batch.persons[fact.person], batch.persons[fact.other_person]
        exposed_at = batch.in_utc(fact.exposed_at) if fact.exposed_at else None
        candidate.columns = {
            "person_id": one.person_id,
            "other_person_id": other.person_id,
            "disease": fact.disease,
            "setting": fact.setting,
            "exposed_at": exposed_at,
        }
        candidate.event = LinkDeclared(
            record_id=candidate.record_id,
            record_version=candidate.revision,
            occurred_at=candidate.occurred_at,
            recorded_at=batch.now,
            person_id=one.person_id,
            other_person_id=other.person_id,
            disease=fact.disease,
            setting=fact.setting,
            exposed_at=exposed_at,
            declared=self.declared(batch),
        )


async def import_list(
    desk: Desk, body: bytes, *, disease: str, id_scheme: str, source_id: UUID, subject: str
) -> bytes:
    """The answer with a verdict for each row. `BadRequest` when nobody can tell what list it is."""
    now = desk.database.clock.now()
    async with desk.database.read() as session:
        columns = await list_columns_at(session, now, disease)
    kind, rows = _read(body, columns, ListRequest(disease, id_scheme, now))
    shape = CaseListDoor if kind == "cases" else LinkListDoor
    delivery = Delivery(source_id, subject, body, rows, context=f"{disease}/{id_scheme}")
    return await take_rows(desk, shape(kind, disease, body), delivery)


def _read(body: bytes, columns: ListColumns, request: ListRequest) -> tuple[str, list[ArrivedRow]]:
    try:
        kind, rows = read_list(decode_list(body), columns, request)
    except ListUnreadable as error:
        advice = f"the headings that are known stand in the policy {columns.document}"
        raise BadRequest(str(error), advice) from error
    if len(rows) > LIST_ROWS_MAX:
        raise TooLarge(f"{len(rows)} rows in one list", f"send at most {LIST_ROWS_MAX} at once")
    return kind, rows
