"""Registration of persons, and the audited look at their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from services.intake.domain.facts import PersonFacts
from services.intake.domain.references import KnownPerson
from services.intake.domain.vault import Vault
from services.intake.errors import not_found
from services.intake.handlers.references import IDENTIFIER_COLUMN, index_of, seal_identifier
from services.intake.repository.persons import (
    attach_identifiers,
    find_by_identifiers,
    read_identifiers,
    read_person,
    read_vault,
    write_person,
    write_vault,
)
from services.intake.tables import person as person_table
from services.intake.tables import standard
from shared.access import Viewer
from shared.areas import visible
from shared.database.work import Actor, AuditDetails, Database, ReadSession, Work
from shared.errors import Conflict
from shared.events.intake import PersonChanged
from shared.ids import new_id

VAULT_COLUMN = "vault.ciphertext"
ATTEMPTS = 3


class _TakenMeanwhile(Exception):
    """Between our look and our insert a scan made a placeholder for this identifier; the next look
    sees whose it is."""

    def __init__(self, scheme: str) -> None:
        super().__init__(scheme)
        self.scheme = scheme


def vault_row(person_id: UUID, field: str) -> str:
    return f"{person_id}/{field}"


async def register_persons(
    database: Database, vault: Vault, persons: Sequence[PersonFacts], *, actor: Actor
) -> list[dict[str, Any]]:
    """Register, or complete who was known by a reference only; all or none. `Conflict` when the
    identifiers of one person belong to two."""
    for attempt in range(ATTEMPTS):
        try:
            async with database.work(actor) as work:
                await work.lock("persons")
                return [await _register(work, vault, facts) for facts in persons]
        except _TakenMeanwhile as taken:
            if attempt == ATTEMPTS - 1:
                raise _two_persons(taken.scheme) from taken
    raise AssertionError("the last attempt returns or raises")


async def _register(work: Work, vault: Vault, facts: PersonFacts) -> dict[str, Any]:
    person_id = await _whose(work, vault, facts)
    before = await read_person(work, person_id, lock=True)
    # A registration without an area does not take away the one that is known.
    area_id = facts.residence_area_id or (before.residence_area_id if before else None)
    changed = before is None or before.placeholder or before.residence_area_id != area_id
    version = before.version + 1 if before and changed else (before.version if before else 1)
    if changed:
        await write_person(
            work,
            {
                "person_id": person_id,
                "version": version,
                "residence_area_id": area_id,
                "placeholder": False,
                "recorded_at": work.now(),
            },
        )
        work.announce(
            PersonChanged(
                record_id=person_id,
                record_version=version,
                occurred_at=work.now(),
                recorded_at=work.now(),
                person_id=person_id,
                residence_area_id=area_id,
            )
        )
    taken = await attach_identifiers(
        work, [seal_identifier(vault, one, person_id) for one in facts.identifiers], work.now()
    )
    if taken:
        raise _TakenMeanwhile(taken[0][0])
    await seal_fields(work, vault, person_id, dict(facts.fields))
    work.audit(
        "person_registered",
        "person",
        person_id,
        version=version,
        details=AuditDetails(area_id=area_id),
    )
    return {"person_id": person_id, "version": version, "residence_area_id": area_id}


async def seal_fields(work: Work, vault: Vault, person_id: UUID, fields: dict[str, str]) -> None:
    sealed = {
        name: vault.seal(VAULT_COLUMN, vault_row(person_id, name), value.encode())
        for name, value in fields.items()
    }
    await write_vault(work, person_id, sealed, work.now())


async def open_fields(
    session: ReadSession, vault: Vault, person_id: UUID, *names: str
) -> dict[str, str]:
    """Fields in plain; all of them when none is named."""
    sealed = await read_vault(session, person_id, names)
    return {
        name: vault.open(VAULT_COLUMN, vault_row(person_id, name), content).decode()
        for name, content in sealed.items()
    }


async def _whose(work: Work, vault: Vault, facts: PersonFacts) -> UUID:
    keys = [index_of(vault, one) for one in facts.identifiers]
    found: dict[UUID, KnownPerson] = {
        person.person_id: person for person in (await find_by_identifiers(work, keys)).values()
    }
    owners = set(found) | ({facts.person_id} if facts.person_id else set())
    if len(owners) > 1:
        raise _two_persons(facts.identifiers[0].scheme)
    return owners.pop() if owners else new_id()


def _two_persons(scheme: str) -> Conflict:
    return Conflict(
        f"the identifiers belong to two persons (scheme {scheme})",
        "register them apart; merging persons is a decision of its own",
    )


async def look_at_person(
    database: Database, vault: Vault, person_id: UUID, viewer: Viewer
) -> dict[str, Any]:
    """A person as the viewer may see them. Names need `persons.read_names`, and the look is on
    record before the answer leaves. `NotFound` also outside the viewer's areas."""
    async with database.work(Actor(viewer.subject)) as work:
        row = (
            await work.execute(
                person_table.select().where(
                    person_table.c.person_id == person_id,
                    visible(standard, viewer, person_table.c.residence_area_id),
                )
            )
        ).first()
        if row is None:
            raise not_found("person")
        told: dict[str, Any] = {
            "person_id": row.person_id,
            "version": row.version,
            "residence_area_id": row.residence_area_id,
            "placeholder": row.placeholder,
        }
        identifiers = await read_identifiers(work, person_id)
        told["schemes"] = [one.scheme for one in identifiers]
        if viewer.may("persons.read_names"):
            work.audit(
                "person_looked_at",
                "person",
                person_id,
                version=row.version,
                details=AuditDetails(area_id=row.residence_area_id),
            )
            told["fields"] = await open_fields(work, vault, person_id)
            told["identifiers"] = [
                {
                    "scheme": one.scheme,
                    "value": vault.open(
                        IDENTIFIER_COLUMN,
                        f"{one.scheme}|{bytes(one.blind_index).hex()}",
                        bytes(one.sealed_value),
                    ).decode(),
                }
                for one in identifiers
            ]
    return told
