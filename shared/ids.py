"""Ids: UUIDv7 for what is born here, UUIDv5 for what is derived from something else."""

from __future__ import annotations

from uuid import UUID

import uuid_utils.compat

DERIVED = UUID("6f757470-6f73-7400-8000-000000000002")


def new_id() -> UUID:
    """A time-ordered random id."""
    return uuid_utils.compat.uuid7()


def derived_id(kind: str, *parts: object) -> UUID:
    """The same parts give the same id, on every process and for ever."""
    return uuid_utils.compat.uuid5(DERIVED, "/".join([kind, *map(str, parts)]))
