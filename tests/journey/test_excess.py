"""From reports at intake's door to an alert that rests on excess: at cold start, with three years
of history, and with a source that fell silent; on the embedded log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from shared.database.work import Actor
from shared.policy import PolicyFile, store_policy
from tests.journey.conftest import NOW, MakeOutpost
from tests.journey.harness import Outpost
from tests.journey.stage import Area, Place, Source, register, tell

ZONE = "Asia/Shanghai"
COUNTY = "cn:340102"
AREAS = (
    Area("cn:00", "country", "China", zone=ZONE),
    Area("cn:34", "province", "Anhui", "cn:00", ZONE),
    Area("cn:3401", "prefecture", "Hefei", "cn:34", ZONE),
    Area(COUNTY, "county", "Yaohai", "cn:3401", ZONE),
)
KINDS = ("fever_clinic", "pharmacy")
SOURCES = {kind: Source(kind, kind, default_zone=ZONE) for kind in KINDS}
TODAY = NOW.astimezone(ZoneInfo(ZONE)).date()
YESTERDAY = TODAY - timedelta(days=1)
RULE: dict[str, Any] = {
    "title_zh": "多源异常", "title_en": "Clinics and pharmacies see more than expected",
    "level": "yellow", "point_kinds": list(KINDS), "min_points": 2, "min_kinds": 2,
    "min_persons": 5, "count_unlinked": True, "window_hours": 72, "area_level": "county",
    "area_of": "place", "lit_by": "excess", "quiet_hours": 168,
}  # fmt: skip


async def a_county_with_a_rule(start: MakeOutpost) -> Outpost:
    outpost = await start()
    places = [Place(kind, kind, COUNTY) for kind in KINDS]
    await register(outpost, *AREAS, *places, *SOURCES.values())
    file = PolicyFile.model_validate(
        {
            "id": "excess", "version": 1, "kind": "alerts.rule", "valid_from": date(2009, 1, 1),
            "source": "test", "author": "test", "document": RULE,
        }
    )  # fmt: skip
    database = outpost.databases["alerts"]
    async with database.work(Actor("command")) as work:
        await store_policy(work, database.tables, file, state="active")
    return outpost


def usual(days: int, *, seed: int) -> dict[date, int]:
    """So many days up to the day before yesterday, about six persons a day."""
    numbers = np.random.default_rng(seed).poisson(6, days)
    return {YESTERDAY - timedelta(days=days - at): int(n) for at, n in enumerate(numbers)}


async def report(outpost: Outpost, kind: str, told: Mapping[date, int]) -> None:
    """One number a day, told at noon."""
    rows = [
        {
            "external_id": f"{kind} {day}",
            "occurred_at": datetime.combine(day, time(12), ZoneInfo(ZONE)).isoformat(),
            "kind": kind,
            "place": {"code": kind},
            "person_count": persons,
            "fever": True,
        }
        for day, persons in told.items()
    ]
    for first in range(0, len(rows), 500):
        await tell(outpost, SOURCES[kind], "reports", *rows[first : first + 500])


async def excess_alerts(outpost: Outpost) -> list[dict[str, Any]]:
    await outpost.settled()
    found = await outpost.follow("/alerts/alerts", "alerts", cursor="before", rule="excess")
    return [one for one in found if one["area_id"] == COUNTY]


async def series(outpost: Outpost, kind: str) -> dict[str, dict[str, Any]]:
    answer = await outpost.read(
        "/alerts/series",
        area=COUNTY,
        kind=kind,
        syndrome="fever",
        **{"from": (TODAY - timedelta(days=20)).isoformat(), "until": TODAY.isoformat()},
    )
    return {one["day"]: one for one in answer["days"]}


async def the_alert_that_tells_all(outpost: Outpost, *methods: str) -> None:
    """`methods` in the order of the kinds."""
    [alert] = await excess_alerts(outpost)
    assert (alert["state"], alert["points"], alert["level"]) == ("open", 2, "yellow")
    for reason, kind, method in zip(alert["reasons"], KINDS, methods, strict=True):
        [day] = reason["days"]
        assert (reason["point_kind"], reason["point_id"]) == (kind, COUNTY)
        assert day["day"] == YESTERDAY.isoformat()
        assert day["observed"] == 40
        assert 3 < day["expected"] < 10 < day["limit"] < 30
        assert day["p_value"] < 1e-4
        assert day["method"].startswith(method)
        told = (await series(outpost, kind))[YESTERDAY.isoformat()]
        assert {name: told[name] for name in ("observed", "expected", "limit", "p_value")} == {
            name: day[name] for name in ("observed", "expected", "limit", "p_value")
        }
    [silent] = alert["silent_if"]
    [clinic, _] = alert["reasons"]
    limit = int(clinic["days"][0]["limit"])
    assert silent == f"count:fever_clinic:{COUNTY}:fever:{YESTERDAY.isoformat()}:{limit}"
    # The last instant of the day, in China.
    midnight = datetime.combine(TODAY, time(), ZoneInfo(ZONE))
    assert datetime.fromisoformat(alert["held_at"]) == midnight - timedelta(microseconds=1)


async def test_at_cold_start_a_fortnight_is_enough_to_see_that_two_kinds_are_high(
    start_outpost: MakeOutpost,
) -> None:
    outpost = await a_county_with_a_rule(start_outpost)
    for seed, kind in enumerate(KINDS):
        await report(outpost, kind, usual(16, seed=seed))
    assert await excess_alerts(outpost) == []
    await report(outpost, "pharmacy", {YESTERDAY: 40})
    assert await excess_alerts(outpost) == []
    await report(outpost, "fever_clinic", {YESTERDAY: 40})
    await the_alert_that_tells_all(outpost, "ears_c2", "ears_c2")


async def test_three_years_of_history_are_held_against_their_seasons_beside_a_new_source(
    start_outpost: MakeOutpost,
) -> None:
    outpost = await a_county_with_a_rule(start_outpost)
    await report(outpost, "fever_clinic", usual(3 * 365 + 40, seed=0))
    await report(outpost, "pharmacy", usual(16, seed=1))
    # A past that came just now is learnt from within minutes.
    await outpost.settled()
    outpost.clock.move_to(NOW + timedelta(minutes=20))
    assert await excess_alerts(outpost) == []
    for kind in KINDS:
        await report(outpost, kind, {YESTERDAY: 40})
    await the_alert_that_tells_all(outpost, "farrington_flexible", "ears_c2")


async def test_a_source_that_fell_silent_is_no_zero_and_lights_up_when_it_speaks(
    start_outpost: MakeOutpost,
) -> None:
    outpost = await a_county_with_a_rule(start_outpost)
    for seed, kind in enumerate(KINDS):
        await report(outpost, kind, usual(16, seed=seed))
    await report(outpost, "pharmacy", {YESTERDAY: 40})
    assert await excess_alerts(outpost) == []
    days = await series(outpost, "fever_clinic")
    before = (YESTERDAY - timedelta(days=1)).isoformat()
    assert days[before]["abstains"] == "none"
    silent = days[YESTERDAY.isoformat()]
    assert (silent["abstains"], silent["p_value"]) == ("silent", None)
    # What it had seen comes late.
    await report(outpost, "fever_clinic", {YESTERDAY: 40})
    await the_alert_that_tells_all(outpost, "ears_c2", "ears_c2")
    # And was a mistake of one figure.
    await report_again(outpost, YESTERDAY, 4)
    [alert] = await excess_alerts(outpost)
    assert alert["state"] == "withdrawn"


async def report_again(outpost: Outpost, day: date, persons: int) -> None:
    """A second version of what the clinic told of a day."""
    row = {
        "external_id": f"fever_clinic {day}",
        "revision": 2,
        "occurred_at": datetime.combine(day, time(12), ZoneInfo(ZONE)).isoformat(),
        "kind": "fever_clinic",
        "place": {"code": "fever_clinic"},
        "person_count": persons,
        "fever": True,
    }
    await tell(outpost, SOURCES["fever_clinic"], "reports", row)
