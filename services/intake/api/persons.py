"""Persons."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import Request

from services.intake.api.body import desk_of
from services.intake.handlers.persons import look_at_person, register_persons
from services.intake.schemas.registry import PersonIn
from services.intake.settings import ROWS_MAX
from shared.database.work import Actor
from shared.errors import TooLarge
from shared.http import Door, viewer_of

door = Door("/intake", tag="persons")


@door.on("POST", "/persons", permission="persons.write", area_scope="everywhere")
async def post_persons(
    request: Request, persons: PersonIn | list[PersonIn]
) -> list[dict[str, Any]]:
    """Register persons, or complete those known by a reference only."""
    wanted = persons if isinstance(persons, list) else [persons]
    if len(wanted) > ROWS_MAX:
        raise TooLarge("too many persons in one body", f"send at most {ROWS_MAX} at once")
    desk = desk_of(request)
    return await register_persons(
        desk.database,
        desk.vault,
        [person.read() for person in wanted],
        actor=Actor(viewer_of(request).subject),
    )


@door.on("GET", "/persons/{person_id}", permission="persons.read", area_scope="viewer")
async def get_person(request: Request, person_id: UUID) -> dict[str, Any]:
    """A person; names only with `persons.read_names`, and every look at them is on record."""
    desk = desk_of(request)
    return await look_at_person(desk.database, desk.vault, person_id, viewer_of(request))
