"""Days of series make alerts, alone and with single signals; on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from services.alerts.domain.detection.verdict import Abstention
from services.alerts.handlers.alerts import end_quiet
from services.alerts.handlers.excesses import judge_excesses
from services.alerts.tables import standard
from shared.clock import ManualClock
from shared.database.work import Actor, Database
from shared.events.intake import Declared, MembershipDeclared
from tests.service.alerts.series import count_nothing, day, high, judge_days, key_of, write_rule
from tests.service.alerts.test_alerts import act
from tests.service.alerts.town import COUNTY, NEIGHBOUR, TOWNSHIP, Town, areas, id_of, report
from tests.unit.alerts.samples import START


async def excess_alerts(town: Town) -> list[tuple[str, int]]:
    return [(row.state, row.points) for row in await town.alerts() if row.rule_id == "excess"]


async def test_two_kinds_above_their_limits_make_an_alert_that_tells_all_of_it(town: Town) -> None:
    await write_rule(town)
    await judge_days(town, high("fever_clinic", 0))
    await town.settle()
    assert await town.alerts() == []
    await judge_days(town, high("pharmacy", 1, observed=20))
    await town.settle()
    alert = await town.the_alert()
    assert (alert.state, alert.area_id, alert.points, alert.unlinked_persons) == (
        "open", COUNTY, 2, 7 + 15,
    )  # fmt: skip
    [clinic, pharmacy] = alert.reasons
    assert (clinic["lit_by"], clinic["point_id"]) == ("excess", COUNTY)
    assert pharmacy["days"] == [
        {
            "area_id": COUNTY, "syndrome": "fever", "day": day(1).isoformat(), "observed": 20,
            "expected": 5.0, "limit": 9.0, "p_value": 0.005, "method": "test@1", "sites": 3,
        }
    ]  # fmt: skip
    assert alert.held_at == last_instant(1)
    assert alert.silent_if == [f"count:fever_clinic:{COUNTY}:fever:{day(0).isoformat()}:9"]
    assert "9 instead of 12" in alert.silent_if_text_en
    [event] = await town.said_alerts()
    assert event.reasons[0].days[0].observed == 12


def last_instant(number: int) -> datetime:
    """The last instant of a day in China."""
    return START + timedelta(days=number, hours=16, microseconds=-1)


async def test_the_largest_silent_count_is_silent_and_one_more_is_not(town: Town) -> None:
    await write_rule(town)
    await judge_days(town, high("fever_clinic", 0), high("pharmacy", 1))
    await town.settle()
    assert (await town.the_alert()).state == "open"
    await judge_days(town, high("fever_clinic", 0, observed=9))
    await town.settle()
    assert (await town.the_alert()).state == "withdrawn"
    await judge_days(town, high("fever_clinic", 0, observed=10))
    await town.settle()
    assert (await town.the_alert()).state == "open"


async def test_a_day_that_nobody_can_judge_lights_nothing(town: Town) -> None:
    await write_rule(town)
    silent = high("fever_clinic", 0, abstains=Abstention.SILENT)
    await judge_days(town, silent, high("pharmacy", 0))
    await town.settle()
    assert await town.alerts() == []


async def test_sums_of_a_township_are_no_sums_of_its_county(town: Town) -> None:
    await write_rule(town)
    await judge_days(town, high("fever_clinic", 0, area_id=TOWNSHIP), high("pharmacy", 0))
    await town.settle()
    assert await town.alerts() == []
    # A prefecture without counties stands in for one, a province does not.
    for area_id in ("cn:4419", "cn:34"):
        await judge_days(
            town,
            high("fever_clinic", 0, area_id=area_id),
            high("pharmacy", 0, area_id=area_id),
        )
    await town.settle()
    assert [row.area_id for row in await town.alerts()] == ["cn:4419"]


async def test_one_kind_by_single_events_and_another_by_excess_are_two_points(town: Town) -> None:
    await count_nothing(town)
    await write_rule(town, kinds={"school": {"lit_by": "event"}})
    await judge_days(town, high("pharmacy", 0))
    await town.hear(report("a", "school", hour=30))
    await town.settle()
    alert = next(row for row in await town.alerts() if row.rule_id == "excess")
    assert [reason["lit_by"] for reason in alert.reasons] == ["excess", "event"]
    assert (alert.persons, alert.unlinked_persons) == (1, 7)


async def test_a_rule_may_ask_for_a_p_value_of_its_own(town: Town) -> None:
    await write_rule(town, p_below=0.001)
    await judge_days(town, high("pharmacy", 0), high("school", 0))
    await town.settle()
    assert await town.alerts() == []
    await judge_days(town, high("pharmacy", 0, p_value=0.001), high("school", 0, p_value=1e-9))
    await town.settle()
    assert (await town.the_alert()).state == "open"


async def test_a_neighbours_days_count_where_the_rule_looks_there(town: Town) -> None:
    await write_rule(town, "border", kind="alerts.adjacency", pairs=[[COUNTY, NEIGHBOUR]])
    await write_rule(town, reach="neighbours")
    await judge_days(town, high("pharmacy", 0), high("school", 0, area_id=NEIGHBOUR))
    await town.settle()
    assert [row.area_id for row in await town.alerts()] == [COUNTY, NEIGHBOUR]
    await judge_days(town, high("school", 0, area_id=NEIGHBOUR, observed=3))
    await town.settle()
    assert {row.state for row in await town.alerts()} == {"withdrawn"}


async def test_a_parents_sum_is_the_areas_own_point_and_not_one_more(town: Town) -> None:
    await write_rule(town, reach="parent", min_kinds=1)
    await judge_days(town, high("pharmacy", 0), high("pharmacy", 0, area_id="cn:3401"))
    await town.settle()
    assert await town.alerts() == []
    await judge_days(town, high("school", 0, area_id="cn:3401"))
    await town.settle()
    assert [(row.area_id, row.points) for row in await town.alerts()] == [(COUNTY, 2)]


def lives_with(
    code: str, household: str, *, version: int = 1, status: str = "recorded"
) -> MembershipDeclared:
    return MembershipDeclared.model_validate(
        {
            "record_id": id_of("membership", code), "record_version": version,
            "occurred_at": START - timedelta(days=100), "recorded_at": START,
            "person_id": id_of("person", code), "group_id": id_of("household", household),
            "group_kind": "household", "status": status,
            "declared": Declared(source_id=id_of("source", "list")),
        }
    )  # fmt: skip


async def test_a_family_at_three_points_is_one_household_whichever_is_heard_first(
    town: Town,
) -> None:
    kinds = ["fever_clinic", "pharmacy", "school"]
    terms: dict[str, Any] = {"lit_by": "event"}
    terms |= {"min_points": 3, "min_persons": 3, "min_households": 3}
    await write_rule(town, **terms)
    await town.hear(*(report(kind, kind, hour=1) for kind in kinds))
    await town.settle()
    assert await excess_alerts(town) == [("open", 3)]
    row = next(row for row in await town.alerts() if row.rule_id == "excess")
    assert row.households == 3
    await town.hear(lives_with("pharmacy", "one"), lives_with("school", "one"))
    await town.settle()
    assert await excess_alerts(town) == [("withdrawn", 3)]
    await town.hear(lives_with("school", "one", version=2, status="withdrawn"))
    await town.settle()
    assert await excess_alerts(town) == [("open", 3)]


async def test_an_alert_ends_when_nothing_more_is_seen_and_later_evidence_opens_another(
    town: Town,
) -> None:
    await write_rule(town)
    await judge_days(town, high("pharmacy", 0), high("school", 1))
    await town.settle()
    alert = await town.the_alert()
    async with town.database.read() as session:
        timer = standard.timer
        [set_at] = (await session.execute(select(timer.c.due_at))).scalars()
    assert set_at == alert.last_at + timedelta(hours=96)
    late = town.database.clock
    assert isinstance(late, ManualClock)
    late.move_to(set_at)
    async with town.database.work(Actor("timer:quiet")) as work:
        await end_quiet(work, [str(alert.id)])
    assert await excess_alerts(town) == [("closed", 2)]
    # What comes late for it belongs to it and opens it again; what is later is another one.
    await judge_days(town, high("fever_clinic", 2))
    await town.settle()
    assert await excess_alerts(town) == [("open", 3)]
    await judge_days(town, high("pharmacy", 20), high("school", 20))
    await town.settle()
    assert await excess_alerts(town) == [("closed", 3), ("open", 2)]
    # A day between the two, near enough to both, makes one of them.
    bridge = [high(kind, number) for number in (5, 9, 13, 17) for kind in ("pharmacy", "school")]
    await judge_days(town, *bridge)
    await town.settle()
    assert await excess_alerts(town) == [("open", 3), ("withdrawn", 2)]


async def test_what_a_person_has_closed_is_used_up(town: Town) -> None:
    await write_rule(town)
    await judge_days(town, high("pharmacy", 0), high("school", 0))
    await town.settle()
    await act(town, "close")
    await judge_days(town, high("pharmacy", 0, observed=13))
    await town.settle()
    assert await excess_alerts(town) == [("closed", 2)]
    await judge_days(town, high("school", 1))
    await town.settle()
    assert await excess_alerts(town) == [("closed", 2), ("open", 2)]


async def test_days_judged_at_once_give_exactly_one_alert(town: Town) -> None:
    await write_rule(town)
    days = [high(kind, 0) for kind in ("fever_clinic", "pharmacy", "school")]

    async def judge_alone(number: int) -> None:
        await judge_days(town, days[number])
        async with town.database.work(Actor("due:excess")) as work:
            await judge_excesses(work, [key_of(days[number])])

    await asyncio.gather(*(judge_alone(number) for number in range(3)))
    assert await excess_alerts(town) == [("open", 3)]
    before = len(await town.said())
    await town.settle()
    assert len(await town.said()) == before


async def test_a_new_rule_looks_at_days_that_were_judged_before(town: Town) -> None:
    await judge_days(town, high("pharmacy", 0), high("school", 0))
    await town.settle()
    assert await town.alerts() == []
    await write_rule(town)
    assert await excess_alerts(town) == [("open", 2)]


async def test_a_correction_of_one_day_touches_no_other_alert(database: Database) -> None:
    town = Town(database)
    await town.hear(*areas())
    await write_rule(town)
    for area_id in (COUNTY, NEIGHBOUR):
        await judge_days(
            town, high("pharmacy", 0, area_id=area_id), high("school", 0, area_id=area_id)
        )
    await town.settle()
    corrected = replace(high("pharmacy", 0), observed=2)
    await judge_days(town, corrected)
    await town.settle()
    versions = {row.area_id: (row.state, row.record_version) for row in await town.alerts()}
    assert versions == {COUNTY: ("withdrawn", 2), NEIGHBOUR: ("open", 1)}
