"""The shortest chain of exposures between two persons: each step after the last.

A person may be reached again, and earlier, by a longer chain; so every level asks about everybody
whom it reached earlier than any level before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from services.tracing.domain.exposure import Exposed, Source
from services.tracing.handlers.questions import Asked, everybody, usable_city
from services.tracing.repository.asked import ExposedPerson
from services.tracing.repository.exposures import exposures_of
from shared.database.work import ReadSession
from shared.service import Room

if TYPE_CHECKING:
    from services.tracing.domain.city.city import City

FOLLOWED_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Chain:
    """The steps, each person exposed by the one before it; empty when there is no such chain.

    `reached`: persons reached on the way; `not_followed`: reached, but too many to ask about.
    """

    steps: Sequence[Exposed]
    reached: int
    not_followed: int


async def find_chain(
    room: Room, session: ReadSession, asked: Asked, target: UUID, *, steps_most: int
) -> Chain:
    """From the one source of `asked` to the target within so many steps."""
    city = usable_city(room, asked)
    chain = await _search(session, asked, target, city, steps_most=steps_most)
    if chain is None:
        # The city knew of something that the session's snapshot does not, or the reverse.
        chain = await _search(session, asked, target, None, steps_most=steps_most)
    assert chain is not None, "SQL contradicts itself in one snapshot"
    return chain


async def _search(
    session: ReadSession, asked: Asked, target: UUID, city: City | None, *, steps_most: int
) -> Chain | None:
    """Level by level; None when the steps that were found cannot be told from the tables."""
    start = asked.sources[0]
    levels: list[dict[UUID, datetime]] = [{start.person_id: start.from_at}]
    earliest = dict(levels[0])
    cut = 0
    for _ in range(steps_most):
        frontier, left_over = _frontier(levels[-1], start.until_at)
        cut += left_over
        if not frontier:
            break
        further = replace(asked, sources=frontier, leave_out=[start.person_id])
        found = await everybody(session, further, city)
        levels.append(await asyncio.to_thread(_reached_earlier, found, earliest))
        if target in levels[-1]:
            steps = await _steps(session, asked, levels, target)
            return Chain(steps, len(earliest) - 1, cut) if steps else None
    return Chain((), len(earliest) - 1, cut)


def _frontier(level: dict[UUID, datetime], until_at: datetime) -> tuple[list[Source], int]:
    """Whom to ask about next, the earliest first, and how many more there would be."""
    reached = sorted((since, person) for person, since in level.items() if since < until_at)
    followed = reached[:FOLLOWED_MOST]
    sources = [Source(person, since, until_at) for since, person in followed]
    return sources, len(reached) - len(followed)


def _reached_earlier(
    found: Sequence[ExposedPerson], earliest: dict[UUID, datetime]
) -> dict[UUID, datetime]:
    """Those whom no level before had reached as early; `earliest` is told."""
    reached: dict[UUID, datetime] = {}
    for one in found:
        before = earliest.get(one.person_id)
        if before is None or one.first_at < before:
            earliest[one.person_id] = reached[one.person_id] = one.first_at
    return reached


async def _steps(
    session: ReadSession, asked: Asked, levels: Sequence[dict[UUID, datetime]], target: UUID
) -> list[Exposed]:
    """Backwards from the target: who of the level before exposed it, with reasons and evidence;
    nothing when a step is not in the tables."""
    steps: list[Exposed] = []
    person = target
    until_at = asked.sources[0].until_at
    for level in reversed(levels[:-1]):
        sources = [Source(who, since, until_at) for who, since in level.items()]
        question = replace(asked, sources=sources).as_sql()
        found = await exposures_of(session, question, [person])
        if not found:
            return []
        steps += found
        person = found[0].via_person_id
    return steps[::-1]
