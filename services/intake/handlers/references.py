"""From references to persons and places; a reference nobody knows makes a placeholder, at once."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from services.intake.domain.references import KnownPerson, PersonReference
from services.intake.domain.vault import Vault
from services.intake.repository.persons import (
    IdentifierKey,
    NewIdentifier,
    add_bare,
    add_placeholders,
    find_by_identifiers,
    find_by_ids,
)
from shared.database.work import Work
from shared.events.intake import PersonChanged
from shared.ids import new_id

IDENTIFIER_COLUMN = "identifier.sealed_value"


def index_of(vault: Vault, reference: PersonReference) -> IdentifierKey:
    return reference.scheme, vault.blind(reference.scheme, reference.value)


def seal_identifier(vault: Vault, reference: PersonReference, person_id: UUID) -> NewIdentifier:
    scheme, index = index_of(vault, reference)
    sealed = vault.seal(IDENTIFIER_COLUMN, f"{scheme}|{index.hex()}", reference.value.encode())
    return NewIdentifier(scheme, index, person_id, sealed)


async def resolve_persons(
    work: Work, vault: Vault, references: Iterable[PersonReference]
) -> dict[PersonReference, KnownPerson]:
    """Every reference to its person, in a handful of statements however many there are.

    Placeholders made here are announced here. Two batches that race for the same new person end
    with one: the second waits at the identifier's key and then reads the first one's person.
    """
    wanted = dict.fromkeys(references)
    by_id = [one for one in wanted if one.person_id is not None]
    keys = {one: index_of(vault, one) for one in wanted if one.person_id is None}
    found = await find_by_identifiers(work, list(dict.fromkeys(keys.values())))
    missing = {key: one for one, key in keys.items() if key not in found}
    if missing:
        sealed = [seal_identifier(vault, one, new_id()) for one in missing.values()]
        made = await add_placeholders(work, sealed, work.now())
        announce_placeholders(work, made)
        # A new statement sees what a racing batch has committed meanwhile.
        found |= await find_by_identifiers(work, list(missing))
    known = {one: found[key] for one, key in keys.items()}
    if by_id:
        known |= await _resolve_ids(work, by_id)
    return known


async def _resolve_ids(
    work: Work, references: list[PersonReference]
) -> dict[PersonReference, KnownPerson]:
    ids = {one.person_id for one in references if one.person_id is not None}
    found = await find_by_ids(work, ids)
    missing = ids - found.keys()
    if missing:
        made = await add_bare(work, missing, work.now())
        announce_placeholders(work, made)
        found |= await find_by_ids(work, missing)
    return {one: found[one.person_id] for one in references if one.person_id is not None}


def announce_placeholders(work: Work, person_ids: Iterable[UUID]) -> None:
    now = work.now()
    work.announce(
        *(
            PersonChanged(
                record_id=person_id,
                record_version=1,
                occurred_at=now,
                recorded_at=now,
                person_id=person_id,
                placeholder=True,
            )
            for person_id in person_ids
        )
    )
