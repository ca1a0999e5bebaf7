"""Writes and reads the copies; only a higher version replaces a lower one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Table, select, text, union

from services.quarantine.domain.facts import CaseFact, ContactFact, PersonFacts, ScanFact
from services.quarantine.repository.among import among
from services.quarantine.tables import case_copy, contact_copy, person_copy, scan_copy, standard
from shared.database.rows import upsert
from shared.database.work import Work
from shared.policy import Reader


async def store_newest(work: Work, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Upsert one row per record, in the order of keys so that two batches cannot deadlock."""
    key = next(iter(table.primary_key.columns)).name
    await upsert(work, table, sorted(rows, key=lambda row: row[key].int), newer="version")


async def lock_cases(work: Work, case_ids: Sequence[UUID]) -> dict[UUID, CaseFact]:
    """Those of these cases that are known, held until the transaction ends."""
    statement = select(case_copy).where(among(case_copy.c.id, case_ids)).order_by(case_copy.c.id)
    rows = await work.execute(statement.with_for_update())
    return {row.id: CaseFact(**row._mapping) for row in rows}


STORE_SCANS = text(
    """
    INSERT INTO quarantine.scan_copy AS known (
        id, version, person_id, place_id, place_kind, area_id, occurred_at, permitted, recorded)
    SELECT * FROM unnest(
        CAST(:id AS uuid[]), CAST(:version AS integer[]), CAST(:person_id AS uuid[]),
        CAST(:place_id AS uuid[]), CAST(:place_kind AS text[]), CAST(:area_id AS text[]),
        CAST(:occurred_at AS timestamptz[]), CAST(:permitted AS boolean[]),
        CAST(:recorded AS boolean[]))
    ON CONFLICT (id) DO UPDATE SET
        version = excluded.version, person_id = excluded.person_id,
        place_id = excluded.place_id, place_kind = excluded.place_kind,
        area_id = excluded.area_id, occurred_at = excluded.occurred_at,
        permitted = excluded.permitted, recorded = excluded.recorded
    WHERE known.version < excluded.version
    """
)


async def store_scans(work: Work, scans: Sequence[ScanFact]) -> None:
    """One statement for the whole batch, one row per scan; the heavy stream of this service."""
    ordered = sorted(scans, key=lambda scan: scan.id)
    columns = [column.name for column in scan_copy.columns]
    await work.execute(
        STORE_SCANS, {name: [getattr(scan, name) for scan in ordered] for name in columns}
    )


async def load_persons(reader: Reader, person_ids: Sequence[UUID]) -> dict[UUID, PersonFacts]:
    """Everything from which the orders of these persons follow."""
    facts = {person_id: PersonFacts(person_id) for person_id in person_ids}
    residence = select(person_copy).where(among(person_copy.c.person_id, person_ids))
    for row in await reader.execute(residence):
        facts[row.person_id].residence_area_id = row.residence_area_id
    cases = select(case_copy).where(among(case_copy.c.person_id, person_ids))
    for row in await reader.execute(cases):
        facts[row.person_id].cases.append(CaseFact(**row._mapping))
    contacts = (
        await reader.execute(
            select(contact_copy).where(among(contact_copy.c.person_id, person_ids))
        )
    ).all()
    wanted = list({row.case_id for row in contacts})
    known = {
        row.id: CaseFact(**row._mapping)
        for row in await reader.execute(select(case_copy).where(among(case_copy.c.id, wanted)))
    }
    for row in contacts:
        fact = ContactFact(
            row.id,
            row.version,
            row.person_id,
            row.case_id,
            row.degree,
            row.disease,
            row.last_exposure_at,
            row.standing,
            case=known.get(row.case_id),
        )
        facts[row.person_id].contacts.append(fact)
    return facts


async def load_zones(reader: Reader, area_ids: set[str]) -> dict[str, str]:
    """The time zone of each area that is known."""
    area = standard.area
    rows = await reader.execute(
        select(area.c.area_id, area.c.zone).where(area.c.area_id.in_(sorted(area_ids)))
    )
    return {row.area_id: row.zone for row in rows}


async def persons_of_cases(reader: Reader, case_ids: Sequence[UUID]) -> list[UUID]:
    """The persons themselves and everybody who was exposed to them."""
    return await _persons(
        reader,
        select(case_copy.c.person_id).where(among(case_copy.c.id, case_ids)),
        select(contact_copy.c.person_id).where(among(contact_copy.c.case_id, case_ids)),
    )


async def persons_with_facts(reader: Reader, person_ids: Sequence[UUID]) -> list[UUID]:
    """Those of these persons that are a case or a contact."""
    return await _persons(
        reader,
        select(case_copy.c.person_id).where(among(case_copy.c.person_id, person_ids)),
        select(contact_copy.c.person_id).where(among(contact_copy.c.person_id, person_ids)),
    )


async def persons_in_areas(reader: Reader, area_ids: Sequence[str]) -> list[UUID]:
    """Cases and contacts whose order may take its day or its policy from these areas."""
    case, contact, person = case_copy.c, contact_copy.c, person_copy.c
    resident = select(person.person_id).where(person.residence_area_id.in_(area_ids))
    case_ids = select(case.id).where(case.area_id.in_(area_ids))
    return await _persons(
        reader,
        select(case.person_id).where(case.area_id.in_(area_ids) | case.person_id.in_(resident)),
        select(contact.person_id).where(
            contact.case_id.in_(case_ids) | contact.person_id.in_(resident)
        ),
    )


async def persons_with_disease(reader: Reader, disease: str | None) -> list[UUID]:
    """Every case and contact of a disease, or of any: whom a policy may touch."""
    cases, contacts = select(case_copy.c.person_id), select(contact_copy.c.person_id)
    if disease is not None:
        cases = cases.where(case_copy.c.disease == disease)
        contacts = contacts.where(contact_copy.c.disease == disease)
    return await _persons(reader, cases, contacts)


async def _persons(reader: Reader, *selects: Any) -> list[UUID]:
    return [row.person_id for row in await reader.execute(union(*selects))]
