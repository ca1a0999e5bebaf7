"""Discarded once is not cleared for ever: a later specimen is looked at as if it were the first."""

from __future__ import annotations

from typing import Any

from tests.journey.harness import Outpost
from tests.journey.stage import Area, Person, Source, tell

COUNTY = Area("cn:340102", "county", "Yunxi", zone="Asia/Shanghai")
LABORATORY = Source("county laboratory", "laboratory", default_zone="Asia/Shanghai")
PATIENT = Person("patient", COUNTY.area_id)


def positive(specimen: str, day: int) -> dict[str, Any]:
    return {
        "external_id": specimen,
        "specimen": specimen,
        "person": PATIENT.reference,
        "disease": "covid19",
        "outcome": "positive",
        "occurred_at": f"2020-04-{day:02}T08:00:00+08:00",
        "reported_at": f"2020-04-{day:02}T12:00:00+08:00",
        "analytes": ["94309-2"],
    }


async def standing(outpost: Outpost) -> tuple[list[bool], list[str], int]:
    """(which cases stand, open alerts of positive results, open isolation orders)."""
    await outpost.settled()
    cases = (await outpost.read("/tracing/cases"))["cases"]
    alerts = (await outpost.read("/alerts/alerts"))["alerts"]
    orders = (await outpost.read("/quarantine/orders"))["orders"]
    live = [one["rule_id"] for one in alerts if one["state"] == "open"]
    held = [one for one in orders if one["kind"] == "isolation" and one["status"] == "open"]
    return [one["standing"] for one in cases], live, len(held)


async def test_a_positive_after_a_discard_is_a_case_an_alert_and_an_order_again(
    outpost: Outpost,
) -> None:
    await outpost.send("/intake/areas", [COUNTY.body()])
    await outpost.send("/intake/sources", LABORATORY.body())
    await outpost.send("/intake/persons", [PATIENT.body()])
    await tell(outpost, LABORATORY, "results", positive("s1", 26))
    assert await standing(outpost) == ([True], ["positive_result"], 1)

    [case] = (await outpost.read("/tracing/cases"))["cases"]
    await outpost.send(f"/tracing/cases/{case['id']}/discard", {"reason": "specimens mixed up"})
    assert await standing(outpost) == ([False], [], 0)

    await tell(outpost, LABORATORY, "results", positive("s2", 29))
    assert await standing(outpost) == ([True], ["positive_result"], 1)
    [again] = (await outpost.read("/tracing/cases"))["cases"]
    assert again["id"] == case["id"]
    details = await outpost.read(f"/tracing/cases/{case['id']}")
    assert len(details["evidence"]) == 1
