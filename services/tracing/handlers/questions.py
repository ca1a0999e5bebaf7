"""Questions of exposure: one primitive, two engines, one answer.

The city answers where it holds everything the question needs; else SQL does, and the answer says
which of them it was.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.tracing.domain.exposure import Exposed, ExposureRule, Source, unite
from services.tracing.errors import EngineAway
from services.tracing.handlers.city import keeper_of
from services.tracing.repository.asked import ExposedPerson, exposed_page
from services.tracing.repository.exposures import ExposureQuestion, exposures_of
from shared.database.absence import is_contended
from shared.database.work import ReadSession
from shared.errors import Unavailable
from shared.metrics import QUESTION_SECONDS
from shared.service import Room

if TYPE_CHECKING:
    from services.tracing.domain.city.city import City
    from services.tracing.domain.city.question import Found, Linked

Engine = Literal["any", "sql", "city"]
GATE = "tracing.questions"
AT_ONCE, WAIT_SECONDS, ANSWER_SECONDS = 2, 10.0, 60
BOUND = text("SELECT set_config('statement_timeout', :most, true)")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who was exposed to these sources; `known_at` asks for what was known then. Backward turns
    links round: everything else is the same both ways."""

    sources: Sequence[Source]
    rule: ExposureRule
    disease: str
    leave_out: Sequence[UUID] = field(default_factory=tuple)
    backward: bool = False
    known_at: datetime | None = None
    engine: Engine = "any"
    skipped: int = 0
    size: int = 50

    def as_sql(self) -> ExposureQuestion:
        return ExposureQuestion(
            unite(self.sources), self.rule, self.disease, self.leave_out, backward=self.backward
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """`total` persons over `pairs` meetings that count, and a page of them with reasons."""

    engine: Literal["sql", "city"]
    total: int
    pairs: int
    exposed: Sequence[Exposed]


@asynccontextmanager
async def asking(room: Room) -> AsyncIterator[ReadSession]:
    """A session for one question. Few are asked at once, none may take for ever: consumers and
    evaluators share the database and the processor with them."""
    gate: asyncio.Semaphore = room.extras.setdefault(GATE, asyncio.Semaphore(AT_ONCE))
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await gate.acquire()
    except TimeoutError as error:
        raise Unavailable("other questions are being answered", "ask again") from error
    try:
        async with room.database.read() as session:
            await session.execute(BOUND, {"most": f"{ANSWER_SECONDS}s"})
            yield session
    except DBAPIError as error:
        if not is_contended(error):
            raise
        raise Unavailable(
            f"SQL has not answered within {ANSWER_SECONDS} s", "ask for a shorter time"
        ) from error
    finally:
        gate.release()


async def answer(session: ReadSession, asked: Asked, city: City | None) -> Answer:
    """Counts, and a page in order of first exposure. Whoever asks further questions of one answer
    hands the same city to all of them."""
    started = time.perf_counter()
    found = await (_by_sql(session, asked) if city is None else _by_city(session, city, asked))
    QUESTION_SECONDS.labels(found.engine).observe(time.perf_counter() - started)
    return found


async def everybody(session: ReadSession, asked: Asked, city: City | None) -> list[ExposedPerson]:
    """All of them, without reasons: who is asked about next."""
    if city is None:
        page = await exposed_page(
            session, asked.as_sql(), skipped=0, size=None, known_at=asked.known_at
        )
        return list(page.persons)
    found = await find_in_city(session, city, asked)
    return await asyncio.to_thread(_persons_of, found)


def usable_city(room: Room, asked: Asked) -> City | None:
    """The city, if it holds all that the question needs; None sends it to SQL."""
    keeper = keeper_of(room)
    city = keeper.fresh
    reason = keeper.fallback if keeper.city is None else "it was not refreshed for too long"
    if asked.engine != "sql" and city is not None:
        from services.tracing.domain.city.question import longest_dwell
        from services.tracing.domain.city.times import micros

        if not asked.sources:
            return city
        from_at = min(source.from_at for source in asked.sources)
        if asked.known_at is not None:
            reason = "what was known at an earlier instant stands in the tables alone"
        elif not city.covers(micros(from_at), longest_dwell(asked.rule)):
            reason = "the question reaches before the look-back"
        else:
            return city
    if asked.engine == "city":
        raise EngineAway(f"the city cannot answer this: {reason}", "ask without engine=city")
    return None


async def _by_sql(session: ReadSession, asked: Asked) -> Answer:
    question = asked.as_sql()
    page = await exposed_page(
        session, question, skipped=asked.skipped, size=asked.size, known_at=asked.known_at
    )
    order = {person.person_id: number for number, person in enumerate(page.persons)}
    exposed = await exposures_of(session, question, list(order), known_at=asked.known_at)
    exposed.sort(key=lambda one: order[one.person_id])
    return Answer("sql", page.total, page.pairs, exposed)


async def _by_city(session: ReadSession, city: City, asked: Asked) -> Answer:
    from services.tracing.domain.city.telling import tell_page
    from services.tracing.repository.page_evidence import with_evidence

    found = await find_in_city(session, city, asked)
    told = await asyncio.to_thread(
        lambda: tell_page(found, found.in_order(asked.skipped, asked.size))
    )
    exposed = await with_evidence(session, told, asked.disease, backward=asked.backward)
    return Answer("city", len(found), found.pairs, exposed)


async def find_in_city(session: ReadSession, city: City, asked: Asked) -> Found:
    from services.tracing.domain.city.numbers import ids_of
    from services.tracing.domain.city.question import ask, sources_of

    united = unite(asked.sources)
    links = await _links(session, city, asked)
    # Numbers are given on the loop alone; the loops over rows run beside it.
    sources = sources_of(city, united)
    left_out = city.ids.persons.find(ids_of(list(asked.leave_out)))
    return await asyncio.to_thread(ask, city, sources, asked.rule, leave_out=left_out, links=links)


async def _links(session: ReadSession, city: City, asked: Asked) -> Linked | None:
    if not asked.rule.links_count or not asked.sources:
        return None
    import numpy as np

    from services.tracing.domain.city.numbers import ids_of
    from services.tracing.domain.city.question import Linked
    from services.tracing.domain.city.times import micros
    from services.tracing.repository.page_evidence import dated_links

    rows = await dated_links(
        session,
        asked.disease,
        min(source.from_at for source in asked.sources),
        max(source.until_at for source in asked.sources),
    )
    numbers = city.ids.persons
    infectors = numbers.add(ids_of([row[0] for row in rows]))
    infectees = numbers.add(ids_of([row[1] for row in rows]))
    return Linked(
        infectees if asked.backward else infectors,
        infectors if asked.backward else infectees,
        np.array([micros(row[2]) for row in rows], dtype=np.int64),
    )


def _persons_of(found: Found) -> list[ExposedPerson]:
    from services.tracing.domain.city.times import instant

    rows = zip(found.person.tolist(), found.first_at.tolist(), found.last_at.tolist(), strict=True)
    numbers = found.city.ids.persons
    return [
        ExposedPerson(numbers.id_of(person), instant(first), instant(last))
        for person, first, last in rows
    ]
