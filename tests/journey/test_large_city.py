"""One generated city of a million visits: plain self-join, tuned SQL, the city in memory and the
brute force name the same persons, row for row.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
import pytest_asyncio
from sqlalchemy import URL, text

from bench.city import GROUP_KINDS, PLACE_KINDS, City, make_city
from bench.city_days import NEVER
from bench.city_tables import load_city, row_id
from services.tracing.domain.exposure import Exposed, Source
from services.tracing.handlers.city import keeper_of
from services.tracing.handlers.questions import Asked, answer, everybody, usable_city
from services.tracing.repository.exposures import exposures
from shared.service import Room
from tests.oracle import exposure as oracle
from tests.service.tracing.desk import DISEASE, Desk
from tests.service.tracing.process import room_of
from tests.service.tracing.test_city import PRESET

PERSONS, SOMEBODY = 8_140, 4_321
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WINDOW = (datetime(2021, 3, 4, 16, tzinfo=UTC), datetime(2021, 3, 7, 16, tzinfo=UTC))
SELF_JOIN = text("""
    WITH stay AS (
        SELECT visit.person_id, visit.place_id, visit.arrived_at, coalesce(
            visit.left_at, visit.arrived_at + make_interval(secs => rule.dwell)
        ) AS left_at, rule.minimum
        FROM tracing.visit JOIN tracing.place USING (place_id)
        JOIN unnest(CAST(:kinds AS text[]), CAST(:minimums AS float[]), CAST(:dwells AS float[]))
            AS rule (kind, minimum, dwell) ON rule.kind = place.kind
    )
    SELECT theirs.person_id, min(met.began) AS first_at, max(met.ended) AS last_at
    FROM stay AS own
    JOIN stay AS theirs ON theirs.place_id = own.place_id AND theirs.person_id <> own.person_id
    CROSS JOIN LATERAL (
        SELECT greatest(own.arrived_at, theirs.arrived_at, CAST(:from_at AS timestamptz)) AS began,
            least(own.left_at, theirs.left_at, CAST(:until_at AS timestamptz)) AS ended
    ) AS met
    WHERE own.person_id = :person_id AND met.ended > met.began
        AND met.ended - met.began >= make_interval(secs => own.minimum)
    GROUP BY theirs.person_id
""")


@pytest.fixture(scope="module")
def made() -> City:
    return make_city(PERSONS)


@pytest_asyncio.fixture
async def desk(fresh_database: URL, made: City) -> AsyncIterator[Desk]:
    found = Desk(fresh_database)
    await found.prepare()
    await load_city(found.engine, made, memory="256MB", show=False)
    yield found
    await found.engine.dispose()


def at(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=int(micros))


def world_around(made: City, person: int) -> oracle.World:
    """The brute force is given all that happened where this person was, and no more."""
    visits, members = made.visits, made.memberships
    places = np.unique(visits.place[visits.person == person])
    rows = np.flatnonzero(np.isin(visits.place, places))
    groups = np.unique(members.group[members.person == person])
    joined = np.flatnonzero(np.isin(members.group, groups))
    rule = PRESET
    return oracle.World(
        oracle.Rules(
            {kind: stay.minimum_seconds / 60 for kind, stay in rule.place_kinds.items()},
            {kind: stay.dwell_seconds / 60 for kind, stay in rule.place_kinds.items()},
            15, 60, dict.fromkeys(GROUP_KINDS, 0), 0, 15,
        ),
        {str(made.place_id(place)): PLACE_KINDS[made.place_kind[place]] for place in places},
        [
            oracle.Visit(
                str(row_id("visit", int(row))), str(made.person_id(visits.person[row])),
                str(made.place_id(visits.place[row])), at(visits.arrived[row]),
                None if visits.left[row] == NEVER else at(visits.left[row]),
            )
            for row in rows
        ],
        memberships=[
            oracle.Membership(
                str(row_id("membership", int(row))), str(made.person_id(members.person[row])),
                str(members.group[row]), GROUP_KINDS[members.kind[row]], at(members.from_at[row]),
                None if members.until_at[row] == NEVER else at(members.until_at[row]),
            )
            for row in joined
        ],
    )  # fmt: skip


@pytest.mark.slow
async def test_a_million_visits_are_answered_alike_by_all(desk: Desk, made: City) -> None:
    assert len(made.visits) > 1_000_000
    room = room_of(desk)
    await keeper_of(room).step()
    for number in (int(made.venue_staff[0]), SOMEBODY):
        person = made.person_id(number)
        asked = Asked([Source(person, *WINDOW)], PRESET, DISEASE, engine="city", size=10_000)
        close = await _alike(desk, room, asked)
        if number == SOMEBODY:  # the venue's whole crowd would keep the brute force busy
            _brute_force_agrees(made, number, close)
        assert len(close) > 50
        await _self_join_agrees(desk, person, close)
        sources = [Source(one.person_id, one.first_at, WINDOW[1]) for one in close]
        left_out = [person, *(one.person_id for one in close)]
        second = replace(asked, sources=sources, leave_out=left_out, size=20)
        async with desk.database.read() as session:
            found = set(await everybody(session, second, usable_city(room, second)))
            assert found == set(await everybody(session, second, None))
            assert len(found) > 500
            by_city = await answer(session, second, usable_city(room, second))
            by_sql = await answer(session, second, None)
        assert list(by_city.exposed) == list(by_sql.exposed)
        assert (by_city.total, by_city.pairs) == (by_sql.total, by_sql.pairs)


def _brute_force_agrees(made: City, number: int, close: list[Exposed]) -> None:
    person = str(made.person_id(number))
    by_force = world_around(made, number).close_contacts(person, *WINDOW)
    assert {
        one.person_id: (one.first_at, one.last_at, {str(row.id) for row in one.evidence})
        for one in close
    } == {
        UUID(who): (found.first, found.last, set(found.evidence)) for who, found in by_force.items()
    }


async def _alike(desk: Desk, room: Room, asked: Asked) -> list[Exposed]:
    """City and the SQL that the evaluator asks, with every reason and row of evidence."""
    async with desk.database.read() as session:
        by_city = list((await answer(session, asked, usable_city(room, asked))).exposed)
        by_sql = await exposures(session, asked.as_sql())
    assert by_city == sorted(by_sql, key=lambda one: (one.first_at, one.person_id))
    return by_city


async def _self_join_agrees(desk: Desk, person: UUID, close: list[Exposed]) -> None:
    """Of those who are exposed by visits alone; the self-join knows no groups."""
    rules = PRESET.place_kinds
    async with desk.database.read() as session:
        rows = await session.execute(
            SELF_JOIN,
            {
                "kinds": list(rules),
                "minimums": [stay.minimum_seconds for stay in rules.values()],
                "dwells": [stay.dwell_seconds for stay in rules.values()],
                "person_id": person,
                "from_at": WINDOW[0],
                "until_at": WINDOW[1],
            },
        )
        joined = {row.person_id: (row.first_at, row.last_at) for row in rows}
    alone = {
        one.person_id: (one.first_at, one.last_at)
        for one in close
        if all(reason.code == "visit" for reason in one.reasons)
    }
    assert {who: times for who, times in joined.items() if who in alone} == alone
