"""Ids: UUIDv7 for what is born here, UUIDv5 for what is derived from something else."""

from __future__ import annotations

from functools import cache
from uuid import UUID

import uuid_utils
from asyncpg.pgproto import pgproto

DERIVED = "6f757470-6f73-7400-8000-000000000002"


def new_id() -> UUID:
    """A time-ordered random id."""
    return _as_drivers(uuid_utils.uuid7())


def derived_id(kind: str, *parts: object) -> UUID:
    """The same parts give the same id, on every process and for ever."""
    return named_id(DERIVED, "/".join([kind, *map(str, parts)]))


def named_id(namespace: str, name: str) -> UUID:
    """The UUIDv5 of a name."""
    return _as_drivers(uuid_utils.uuid5(_namespace(namespace), name))


@cache
def _namespace(text: str) -> uuid_utils.UUID:
    return uuid_utils.UUID(text)


def _as_drivers(made: uuid_utils.UUID) -> UUID:
    """The same id in the type that the driver gives us and takes from us. It is a `uuid.UUID`, made
    in a fifth of the time and printed in a tenth: at 5,000 scans a second every id counts."""
    drivers: UUID = pgproto.UUID(made.bytes)
    return drivers
