"""Signals make alerts, whatever the order in which they come; on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from sqlalchemy import select, update

from services.alerts.domain.life import Act
from services.alerts.errors import ActNotAllowed, AlertNotFound
from services.alerts.handlers.acts import Acting, act_on_alert
from services.alerts.handlers.copies import CROWD
from services.alerts.handlers.signals import judge_records
from services.alerts.repository.alerts import evidence_ids
from services.alerts.tables import signal, standard
from shared.access import Viewer
from shared.database.work import Actor, Database
from shared.events.alerts import SignalChanged
from shared.events.base import Event
from shared.events.intake import PersonChanged, PlaceChanged
from shared.policy import PolicyFile, store_policy
from tests.service.alerts.town import (
    COUNTY,
    EVERYONE,
    NEIGHBOUR,
    TOWNSHIP,
    Town,
    area,
    areas,
    breach,
    case,
    co_location,
    id_of,
    report,
    result,
    scan,
    three_reports,
)
from tests.unit.alerts.samples import START


async def act(town: Town, act: Act, viewer: Viewer = EVERYONE) -> None:
    live = [row for row in await town.alerts() if row.state not in ("closed", "dismissed")]
    async with town.database.work(Actor("staff:test")) as work:
        await act_on_alert(work, viewer, Acting(live[0].id, act, "looked into it"))


async def test_three_sources_in_one_county_give_one_alert_with_three_reasons(town: Town) -> None:
    await town.hear(*three_reports())
    await town.settle()
    alert = await town.the_alert()
    assert (alert.rule_id, alert.rule_version, alert.state) == ("multi_point", 1, "open")
    assert (alert.area_id, alert.points, alert.persons) == (COUNTY, 3, 3)
    assert [reason["point_kind"] for reason in alert.reasons] == [
        "fever_clinic",
        "pharmacy",
        "school",
    ]
    assert len(alert.silent_if) == 1
    [event] = await town.said_alerts()
    assert (event.record_id, event.record_version) == (alert.id, 1)
    assert len([one for one in await town.said() if isinstance(one, SignalChanged)]) == 3


async def test_three_signals_stored_and_judged_at_once_give_exactly_one_alert(town: Town) -> None:
    async def judge_alone(event: Event) -> None:
        async with town.database.work(Actor("due:record")) as work:
            await judge_records(work, [str(event.record_id)])

    async def hear_and_judge(event: Event) -> None:
        await town.hear(event)
        await judge_alone(event)

    for number in range(10):
        reports = [
            report(f"{number} {one.kind}", one.kind, hour=500 * number) for one in three_reports()
        ]
        await asyncio.gather(*(hear_and_judge(one) for one in reports))
        # Nothing has judged them together: each transaction was about one signal.
        [live] = [row for row in await town.alerts() if row.state == "open"]
        assert live.points == 3
        await act(town, "close")


async def test_two_evaluation_loops_at_once_give_exactly_one_alert(town: Town) -> None:
    async def hear_and_judge(event: Event) -> None:
        await town.hear(event)
        await town.due_loop().judge_once()

    await asyncio.gather(*(hear_and_judge(one) for one in three_reports()))
    await town.settle()
    assert (await town.the_alert()).points == 3


def resident(code: str, area_id: str | None, *, version: int = 1) -> PersonChanged:
    return PersonChanged(
        record_id=id_of("person", code),
        record_version=version,
        occurred_at=START,
        recorded_at=START,
        person_id=id_of("person", code),
        residence_area_id=area_id,
    )


def everything() -> list[Event]:
    """Alerts of every rule, with corrections, withdrawals and a discarded case among the facts."""
    return [
        *areas(),
        *three_reports(),
        report("d", "pharmacy", hour=30, person_id=None, person_count=4),
        report("e", "school", hour=40),
        report("e", "school", hour=40, version=2, status="withdrawn"),
        report("f", "pharmacy", hour=41),
        report("f", "school", hour=41, version=2),
        report("g", "emergency", hour=200),
        report("h", "emergency", hour=45, place_area_id=None),
        PlaceChanged(
            record_id=id_of("place", "h"),
            record_version=1,
            occurred_at=START,
            recorded_at=START,
            kind="hospital",
            area_id=COUNTY,
        ),
        *(scan(f"fever {number}", fever=True) for number in range(6)),
        scan("fever 0", fever=False, version=2),
        scan("well", fever=False),
        result("p"),
        result("q", hour=3),
        resident("q", None),
        resident("q", NEIGHBOUR, version=2),
        case("p", standing=True, version=1),
        case("p", standing=False, version=2),
        breach("r"),
        breach("s"),
        breach("s", standing=False, version=2),
        co_location("t", of_case="q"),
        co_location("u", of_case="q"),
        co_location("u", of_case="q", standing=False, version=2),
        co_location("v", of_case="p"),
    ]


async def test_shuffled_and_repeated_facts_end_in_the_same_state(database: Database) -> None:
    town = Town(database)
    await town.hear(*everything())
    await town.settle()
    expected = await town.state()
    assert [(row["rule_id"], row["points"]) for row in expected["alerts"]] == [
        ("breach", 1),
        ("checkpoint_fever", 1),
        ("multi_point", 6),
        ("positive_result", 1),
    ]
    for seed in range(4):
        await empty(database)
        order = random.Random(seed)
        facts = everything() + order.sample(everything(), 12)
        order.shuffle(facts)
        while facts:
            size = order.randint(1, 6)
            batch, facts = facts[:size], facts[size:]
            await town.hear(*batch)
            if order.random() < 0.5:
                await town.settle()
        await town.settle()
        assert await town.state() == expected, f"seed {seed}"


async def test_a_long_chain_of_evidence_is_kept_whole_whatever_comes_first(town: Town) -> None:
    kinds = ("pharmacy", "school", "fever_clinic")
    # Three within any 72 hours, 300 hours in all: no single window holds the whole.
    chain = [report(str(hour), kinds[hour % 3], hour=hour) for hour in range(0, 300, 35)]
    random.Random(3).shuffle(chain)
    for one in chain:
        await town.hear(one)
        await town.settle()
    assert (await town.the_alert()).points == len(chain)
    gone = report("140", kinds[140 % 3], hour=140, version=2, status="withdrawn")
    await town.hear(gone)
    await town.settle()
    alert = await town.the_alert()
    assert (alert.state, alert.points) == ("open", len(chain) - 1)
    await town.hear(report("175", kinds[175 % 3], hour=175, version=2, status="withdrawn"))
    await town.settle()
    # Two gaps side by side: 105 to 210 is longer than a window, and both sides still hold.
    assert (await town.the_alert()).points == len(chain) - 2


async def empty(database: Database) -> None:
    async with database.work(Actor("test")) as work:
        for table in reversed(database.tables.area.metadata.sorted_tables):
            if table.name != "policy":
                await work.execute(table.delete())


async def test_nothing_is_said_again_when_facts_are_repeated(town: Town) -> None:
    await town.hear(*three_reports())
    await town.settle()
    before = len(await town.said())
    await town.hear(*three_reports())
    await town.settle()
    assert len(await town.said()) == before


async def test_later_evidence_joins_the_open_alert(town: Town) -> None:
    await town.hear(*three_reports())
    await town.settle()
    await act(town, "acknowledge")
    await town.hear(report("d", "nursing_home", hour=60))
    await town.settle()
    alert = await town.the_alert()
    assert (alert.state, alert.points, alert.record_version) == ("acknowledged", 4, 3)


async def test_an_alert_is_withdrawn_with_its_evidence_and_comes_back_as_itself(
    town: Town,
) -> None:
    await town.hear(*three_reports())
    await town.settle()
    opened = await town.the_alert()
    gone = report("b", "pharmacy", hour=5, version=2, status="withdrawn")
    await town.hear(gone)
    await town.settle()
    withdrawn = await town.the_alert()
    assert (withdrawn.id, withdrawn.state) == (opened.id, "withdrawn")
    assert withdrawn.cause_id == gone.event_id
    await town.hear(report("b", "pharmacy", hour=5, version=3))
    await town.settle()
    returned = await town.the_alert()
    assert (returned.id, returned.state, returned.record_version) == (opened.id, "open", 3)
    steps = [event.state for event in await town.said_alerts()]
    assert steps == ["open", "withdrawn", "open"]


async def test_a_closed_alert_stays_closed_and_new_evidence_opens_a_new_one(town: Town) -> None:
    await town.hear(*three_reports())
    await town.settle()
    await act(town, "close")
    await town.hear(*three_reports())
    await town.hear(report("b", "pharmacy", hour=5, version=2, status="withdrawn"))
    await town.settle()
    closed = await town.the_alert()
    assert (closed.state, closed.points) == ("closed", 3)
    await town.hear(report("b", "pharmacy", hour=5, version=3), report("d", "school", hour=20))
    await town.settle()
    old, new = await town.alerts()
    assert (old.id, old.state, new.state, new.points) == (closed.id, "closed", "open", 4)
    async with town.database.read() as session:
        evidence = await evidence_ids(session, [old.id, new.id])
    assert [len(evidence[old.id]), len(evidence[new.id])] == [3, 4]


async def test_a_discarded_case_puts_out_its_result_whichever_comes_first(town: Town) -> None:
    await town.hear(result("p"))
    await town.settle()
    assert (await town.the_alert()).state == "open"
    discard = case("p", standing=False, version=2)
    await town.hear(discard)
    await town.settle()
    fallen = await town.the_alert()
    assert (fallen.state, fallen.cause_id) == ("withdrawn", discard.event_id)
    await town.hear(case("q", standing=False, version=2))
    await town.hear(result("q"))
    await town.settle()
    assert (await town.the_alert()).state == "withdrawn"


@pytest.mark.parametrize("registered_first", [False, True])
async def test_a_result_of_a_person_registered_later_is_moved_to_where_they_live(
    town: Town, registered_first: bool
) -> None:
    await town.hear(*areas())
    steps = [result("p"), resident("p", NEIGHBOUR)]
    for step in reversed(steps) if registered_first else steps:
        await town.hear(step)
        await town.settle()
    standing = [one for one in await town.alerts() if one.state == "open"]
    assert [one.area_id for one in standing] == [NEIGHBOUR]


async def test_a_corrected_scan_that_lost_its_fever_puts_its_signal_out(town: Town) -> None:
    fevers = [scan(str(number), fever=True) for number in range(5)]
    await town.hear(*fevers)
    await town.settle()
    assert (await town.the_alert()).rule_id == "checkpoint_fever"
    await town.hear(scan("0", fever=False, version=2))
    await town.settle()
    assert (await town.the_alert()).state == "withdrawn"


async def test_an_area_that_arrives_late_lights_the_stored_signals(database: Database) -> None:
    town = Town(database)
    await town.hear(*three_reports())
    await town.settle()
    assert await town.alerts() == []
    for one in areas():
        await town.hear(one)
        await town.settle()
    assert (await town.the_alert()).area_id == COUNTY


async def test_a_township_that_moves_takes_its_alert_along(town: Town) -> None:
    await town.hear(*three_reports())
    await town.settle()
    await town.hear(area(TOWNSHIP, NEIGHBOUR, "township", version=2))
    await town.settle()
    states = {row.area_id: row.state for row in await town.alerts()}
    assert states == {COUNTY: "withdrawn", NEIGHBOUR: "open"}


async def test_where_there_are_no_counties_the_next_higher_area_counts(town: Town) -> None:
    reports = [report(one.kind, one.kind, place_area_id="cn:441900003") for one in three_reports()]
    await town.hear(*reports)
    await town.settle()
    assert (await town.the_alert()).area_id == "cn:4419"


async def test_a_report_told_for_a_whole_prefecture_counts_in_none_of_its_counties(
    town: Town,
) -> None:
    one, two, three = three_reports()
    await town.hear(one, two, three.model_copy(update={"place_area_id": "cn:3401"}))
    await town.settle()
    assert await town.alerts() == []


async def test_signals_of_two_counties_make_no_alert_together(town: Town) -> None:
    one, two, three = three_reports()
    await town.hear(one, two, three.model_copy(update={"place_area_id": NEIGHBOUR}))
    await town.settle()
    assert await town.alerts() == []


async def test_a_stricter_version_of_a_rule_judges_again_from_its_first_day(town: Town) -> None:
    await town.hear(*three_reports())
    await town.settle()
    document: dict[str, Any] = {
        "title_zh": "多点触发预警",
        "title_en": "Stricter",
        "level": "red",
        "point_kinds": ["fever_clinic", "pharmacy", "school"],
        "min_points": 4,
        "min_kinds": 2,
        "min_persons": 3,
        "count_unlinked": True,
        "window_hours": 72,
        "area_level": "county",
        "area_of": "place",
    }
    file = PolicyFile.model_validate(
        {
            "id": "multi_point",
            "version": 2,
            "kind": "alerts.rule",
            "valid_from": START.date(),
            "source": "test",
            "author": "test",
            "document": document,
        }
    )
    async with town.database.work(Actor("command")) as work:
        await store_policy(work, town.database.tables, file, state="active")
    await town.hear(
        *[event for event in await town.said() if event.type == "outpost.policy.changed"]
    )
    await town.settle()
    assert (await town.the_alert()).state == "withdrawn"


async def signals_of_kind(town: Town, kind: str) -> list[tuple[bool, str | None]]:
    async with town.database.read() as session:
        rows = await session.execute(select(signal).where(signal.c.point_kind == kind))
        return sorted((row.standing, row.area_id) for row in rows)


async def test_a_co_location_is_a_signal_and_by_itself_no_alert(town: Town) -> None:
    await town.hear(co_location("x"), co_location("y"), co_location("z"))
    await town.settle()
    assert await signals_of_kind(town, "co_location") == [(True, COUNTY)] * 3
    assert await town.alerts() == []
    await town.hear(co_location("x", standing=False, version=2))
    await town.settle()
    assert await signals_of_kind(town, "co_location") == [
        (False, COUNTY), (True, COUNTY), (True, COUNTY),
    ]  # fmt: skip


async def test_a_co_location_falls_with_its_case_whichever_is_heard_first(town: Town) -> None:
    await town.hear(case("p", standing=True, version=1), co_location("x"))
    await town.settle()
    await town.hear(case("p", standing=False, version=2))
    await town.settle()
    assert await signals_of_kind(town, "co_location") == [(False, COUNTY)]
    told = len(await town.said())
    await town.hear(co_location("x", standing=False, version=2), co_location("late"))
    await town.settle()
    assert len(await town.said()) == told, "what has fallen falls once"
    assert {standing for standing, _ in await signals_of_kind(town, "co_location")} == {False}
    await town.hear(case("p", standing=True, version=3), co_location("x", version=3))
    await town.settle()
    assert await signals_of_kind(town, "co_location") == [(True, COUNTY)] * 2


async def store_together(town: Town) -> None:
    """A rule of its own for co-locations: two persons within a day."""
    document = {
        "title_zh": "时空伴随聚集", "title_en": "Many were where a case was", "level": "yellow",
        "point_kinds": ["co_location"], "min_points": 1, "min_kinds": 1, "min_persons": 2,
        "count_unlinked": True, "window_hours": 24, "area_level": "county", "area_of": "place",
    }  # fmt: skip
    file = PolicyFile.model_validate(
        {
            "id": "together", "version": 1, "kind": "alerts.rule", "valid_from": START.date(),
            "source": "test", "author": "test", "document": document,
        }
    )  # fmt: skip
    async with town.database.work(Actor("command")) as work:
        await store_policy(work, town.database.tables, file, state="active")


async def test_a_rule_may_name_co_locations(town: Town) -> None:
    await store_together(town)
    await town.hear(co_location("x"))
    await town.settle()
    assert await town.alerts() == []
    await town.hear(co_location("y"))
    await town.settle()
    assert (await town.the_alert()).rule_id == "together"


async def judge_what_need_not_wait(town: Town) -> list[set[str]]:
    """The keys of the rows that are left."""
    loop = town.due_loop()
    while await loop.judge_once():
        pass
    async with town.database.read() as session:
        rows = await session.execute(select(standard.due))
        return [set(row._mapping["keys"]) for row in rows]


async def make_due_now(town: Town) -> None:
    async with town.database.work(Actor("test")) as work:
        await work.execute(update(standard.due).values(not_before=None))


@pytest.mark.parametrize("alerting", [True, False])
async def test_of_a_crowd_that_falls_what_an_alert_rests_on_falls_first(
    town: Town, alerting: bool
) -> None:
    if alerting:
        await store_together(town)
    codes = [f"visitor {number}" for number in range(CROWD)]
    await town.hear(case("p", standing=True, version=1), *map(co_location, codes))
    await town.settle()
    assert [row.state for row in await town.alerts()] == ["open"] * alerting
    await town.hear(case("p", standing=False, version=2))
    left = await judge_what_need_not_wait(town)
    assert [row.state for row in await town.alerts()] == ["withdrawn"] * alerting
    waiting = set[str]() if alerting else {str(co_location(code).record_id) for code in codes}
    assert set().union(*left) == waiting
    standing = [stands for stands, _ in await signals_of_kind(town, "co_location")]
    assert standing == [not alerting] * CROWD
    await make_due_now(town)
    await town.settle()
    assert await signals_of_kind(town, "co_location") == [(False, COUNTY)] * CROWD


async def test_of_a_crowd_that_stands_again_nothing_waits(town: Town) -> None:
    codes = [f"visitor {number}" for number in range(CROWD)]
    await town.hear(case("p", standing=False, version=1), *map(co_location, codes))
    await judge_what_need_not_wait(town)
    await make_due_now(town)
    await town.settle()
    assert await signals_of_kind(town, "co_location") == [(False, COUNTY)] * CROWD
    await town.hear(case("p", standing=True, version=2))
    await town.settle()
    assert await signals_of_kind(town, "co_location") == [(True, COUNTY)] * CROWD


async def test_acts_are_refused_outside_the_viewers_areas_and_out_of_turn(town: Town) -> None:
    await town.hear(breach("r"))
    await town.settle()
    stranger = Viewer("staff:stranger", frozenset(), (NEIGHBOUR,))
    with pytest.raises(AlertNotFound):
        await act(town, "acknowledge", stranger)
    await act(town, "escalate", Viewer("staff:home", frozenset(), ("cn:34",)))
    with pytest.raises(ActNotAllowed):
        await act(town, "acknowledge")
    event = (await town.said_alerts())[-1]
    assert (event.state, event.reason) == ("escalated", "escalate by staff:home")
