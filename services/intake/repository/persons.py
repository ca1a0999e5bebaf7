"""Persons, their identifiers and their vault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from services.intake.domain.references import KnownPerson
from services.intake.tables import identifier, person, vault
from shared.database.work import ReadSession, Work

IdentifierKey = tuple[str, bytes]

_BY_IDENTIFIER = text(
    "SELECT wanted.scheme, wanted.blind_index, person.person_id, person.placeholder,"
    " person.residence_area_id"
    " FROM unnest(CAST(:schemes AS text[]), CAST(:indexes AS bytea[]))"
    " AS wanted (scheme, blind_index)"
    " JOIN intake.identifier USING (scheme, blind_index)"
    " JOIN intake.person USING (person_id)"
)
_BY_ID = text(
    "SELECT person_id, placeholder, residence_area_id FROM intake.person"
    " WHERE person_id = ANY(CAST(:ids AS uuid[]))"
)
# One statement makes identifier and person together: of two racing batches one makes both, and the
# other waits for its commit and finds them.
_ADD_PLACEHOLDERS = text(
    "WITH fresh AS ("
    " INSERT INTO intake.identifier (scheme, blind_index, person_id, sealed_value, recorded_at)"
    " SELECT scheme, blind_index, person_id, sealed_value, :recorded_at FROM unnest("
    " CAST(:schemes AS text[]), CAST(:indexes AS bytea[]), CAST(:ids AS uuid[]),"
    " CAST(:sealed AS bytea[])) AS arrived (scheme, blind_index, person_id, sealed_value)"
    " ON CONFLICT (scheme, blind_index) DO NOTHING RETURNING person_id)"
    " INSERT INTO intake.person (person_id, version, placeholder, recorded_at)"
    " SELECT person_id, 1, true, :recorded_at FROM fresh RETURNING person_id"
)
_ADD_BARE = text(
    "INSERT INTO intake.person (person_id, version, placeholder, recorded_at)"
    " SELECT person_id, 1, true, :recorded_at FROM unnest(CAST(:ids AS uuid[])) AS person_id"
    " ON CONFLICT (person_id) DO NOTHING RETURNING person_id"
)


@dataclass(frozen=True, slots=True)
class NewIdentifier:
    """An identifier that nobody knows yet, with the id its person will have."""

    scheme: str
    blind_index: bytes
    person_id: UUID
    sealed_value: bytes

    @property
    def key(self) -> IdentifierKey:
        return self.scheme, self.blind_index


async def find_by_identifiers(
    session: ReadSession, keys: Sequence[IdentifierKey]
) -> dict[IdentifierKey, KnownPerson]:
    if not keys:
        return {}
    rows = await session.execute(
        _BY_IDENTIFIER,
        {"schemes": [scheme for scheme, _ in keys], "indexes": [index for _, index in keys]},
    )
    return {
        (row.scheme, bytes(row.blind_index)): KnownPerson(
            row.person_id, row.placeholder, row.residence_area_id
        )
        for row in rows
    }


async def find_by_ids(session: ReadSession, ids: Iterable[UUID]) -> dict[UUID, KnownPerson]:
    wanted = list(ids)
    if not wanted:
        return {}
    rows = await session.execute(_BY_ID, {"ids": wanted})
    return {
        row.person_id: KnownPerson(row.person_id, row.placeholder, row.residence_area_id)
        for row in rows
    }


async def add_placeholders(
    work: Work, wanted: Iterable[NewIdentifier], recorded_at: datetime
) -> list[UUID]:
    """Persons for identifiers that had none; returns those that this transaction made."""
    # Sorted: two batches that meet in the same persons wait in line instead of for each other.
    arrived = sorted(wanted, key=lambda one: one.key)
    rows = await work.execute(
        _ADD_PLACEHOLDERS,
        {
            "schemes": [one.scheme for one in arrived],
            "indexes": [one.blind_index for one in arrived],
            "ids": [one.person_id for one in arrived],
            "sealed": [one.sealed_value for one in arrived],
            "recorded_at": recorded_at,
        },
    )
    return [row.person_id for row in rows]


async def add_bare(work: Work, ids: Iterable[UUID], recorded_at: datetime) -> list[UUID]:
    """Placeholder persons under ids that a sender knows and we do not."""
    rows = await work.execute(_ADD_BARE, {"ids": sorted(ids), "recorded_at": recorded_at})
    return [row.person_id for row in rows]


async def attach_identifiers(
    work: Work, wanted: Iterable[NewIdentifier], recorded_at: datetime
) -> list[IdentifierKey]:
    """Further identifiers of persons that exist; those taken by somebody else are returned."""
    arrived = sorted(wanted, key=lambda one: one.key)
    if not arrived:
        return []
    statement = insert(identifier).values(
        [
            {
                "scheme": one.scheme,
                "blind_index": one.blind_index,
                "person_id": one.person_id,
                "sealed_value": one.sealed_value,
                "recorded_at": recorded_at,
            }
            for one in arrived
        ]
    )
    await work.execute(statement.on_conflict_do_nothing())
    owners = await find_by_identifiers(work, [one.key for one in arrived])
    return [one.key for one in arrived if owners[one.key].person_id != one.person_id]


async def read_person(session: ReadSession, person_id: UUID, *, lock: bool = False) -> Any:
    """The row, or None."""
    query = select(person).where(person.c.person_id == person_id)
    return (await session.execute(query.with_for_update() if lock else query)).first()


async def write_person(work: Work, values: Mapping[str, Any]) -> None:
    statement = insert(person).values(values)
    await work.execute(
        statement.on_conflict_do_update(
            index_elements=[person.c.person_id],
            set_={name: statement.excluded[name] for name in values if name != "person_id"},
        )
    )


async def write_vault(
    work: Work, person_id: UUID, sealed: Mapping[str, bytes], recorded_at: datetime
) -> None:
    if not sealed:
        return
    statement = insert(vault).values(
        [
            {
                "person_id": person_id,
                "field": name,
                "ciphertext": content,
                "recorded_at": recorded_at,
            }
            for name, content in sorted(sealed.items())
        ]
    )
    await work.execute(
        statement.on_conflict_do_update(
            index_elements=[vault.c.person_id, vault.c.field],
            set_={
                "ciphertext": statement.excluded.ciphertext,
                "recorded_at": statement.excluded.recorded_at,
            },
        )
    )


async def read_vault(
    session: ReadSession, person_id: UUID, fields: Sequence[str] = ()
) -> dict[str, bytes]:
    """Sealed fields by name; all of them when none is named."""
    query = select(vault.c.field, vault.c.ciphertext).where(vault.c.person_id == person_id)
    if fields:
        query = query.where(vault.c.field.in_(fields))
    return {row.field: bytes(row.ciphertext) for row in await session.execute(query)}


async def read_identifiers(session: ReadSession, person_id: UUID) -> list[Any]:
    query = select(identifier).where(identifier.c.person_id == person_id)
    return list((await session.execute(query.order_by(identifier.c.scheme))).all())
