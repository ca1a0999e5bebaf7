"""The shortest chain of exposures between two persons: each step after the last.

A person may be reached again, and earlier, by a longer chain; so every level asks about everybody
whom it reached earlier than any level before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.tracing.domain.exposure import Exposed, Source
from services.tracing.handlers.questions import Asked, everybody
from services.tracing.repository.exposures import exposures_of
from shared.database.work import ReadSession
from shared.service import Room

FOLLOWED_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Chain:
    """The steps, each person exposed by the one before it; empty when there is no such chain.

    `reached`: persons reached on the way; `not_followed`: reached, but too many to ask about.
    """

    steps: Sequence[Exposed]
    reached: int
    not_followed: int


async def find_chain(
    room: Room,
    session: ReadSession,
    asked: Asked,
    target: UUID,
    *,
    steps_most: int,
) -> Chain:
    """From the one source of `asked` to the target within so many steps."""
    start = asked.sources[0]
    earliest: dict[UUID, datetime] = {start.person_id: start.from_at}
    levels: list[dict[UUID, datetime]] = [{start.person_id: start.from_at}]
    cut = 0
    for _ in range(steps_most):
        frontier = [
            Source(person, since, start.until_at)
            for person, since in levels[-1].items()
            if since < start.until_at
        ]
        if not frontier:
            break
        if len(frontier) > FOLLOWED_MOST:
            frontier.sort(key=lambda one: (one.from_at, one.person_id))
            cut += len(frontier) - FOLLOWED_MOST
            frontier = frontier[:FOLLOWED_MOST]
        found = await everybody(
            room, session, replace(asked, sources=frontier, leave_out=[start.person_id])
        )
        reached: dict[UUID, datetime] = {}
        for one in found:
            before = earliest.get(one.person_id)
            if before is None or one.first_at < before:
                earliest[one.person_id] = reached[one.person_id] = one.first_at
        levels.append(reached)
        if target in reached:
            steps = await _steps(session, asked, levels, target)
            return Chain(steps, len(earliest) - 1, cut)
    return Chain((), len(earliest) - 1, cut)


async def _steps(
    session: ReadSession, asked: Asked, levels: Sequence[dict[UUID, datetime]], target: UUID
) -> list[Exposed]:
    """Backwards from the target: who of the level before exposed it, with reasons and evidence."""
    steps: list[Exposed] = []
    person = target
    until_at = asked.sources[0].until_at
    for level in reversed(levels[:-1]):
        sources = [Source(who, since, until_at) for who, since in level.items()]
        question = replace(asked, sources=sources).as_sql()
        (step,) = await exposures_of(session, question, [person])
        steps.append(step)
        person = step.via_person_id
    return steps[::-1]
