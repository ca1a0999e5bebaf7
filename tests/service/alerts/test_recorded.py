"""What the service has recorded, as the back-test reads it: the alerts that stood, found again and
rated against the outbreaks that people labelled."""

from __future__ import annotations

from services.alerts.laboratory.backtest import alarms_of
from services.alerts.laboratory.rating import rate
from services.alerts.laboratory.recorded import recorded_trial, rules_in_force
from tests.service.alerts.series import count_nothing, day, high, judge_days, write_rule
from tests.service.alerts.town import COUNTY, NEIGHBOUR, TOWNSHIP, Town, three_reports

DAYS = 30


async def test_recorded_signals_and_days_make_the_alerts_that_stand(town: Town) -> None:
    await count_nothing(town)
    await write_rule(town, "limits")
    await write_rule(
        town, "measles 1", kind="alerts.outbreak", area_id=TOWNSHIP, span=f"{day(8)}/{day(14)}",
        syndromes=["fever"],
    )  # fmt: skip
    await town.hear(*three_reports())
    await judge_days(town, high("pharmacy", 10), high("school", 11), high("school", 25))
    await judge_days(
        town, *(high(kind, 20, area_id=NEIGHBOUR) for kind in ("pharmacy", "fever_clinic"))
    )
    await town.settle()
    async with town.database.read() as session:
        trial = await recorded_trial(session, day(0), day(DAYS))
        rules = await rules_in_force(session)
    alarms = alarms_of(rules, trial)
    live = {(row.rule_id, row.rule_version, row.area_id) for row in await town.alerts()}
    found = {(*alarm.rule.split("@"), alarm.area_id) for alarm in alarms}
    assert {(rule, int(version), area) for rule, version, area in found} == live
    assert {area for _, _, area in live} == {COUNTY, NEIGHBOUR}

    rating = rate(trial, [one for one in alarms if one.rule == "limits@1"])
    # Labelled from the eighth day on; two series were high together on the eleventh.
    assert rating.delays.tolist() == [3.0]
    # The neighbour's, in two counties and a prefecture that stands in for its own.
    assert rating.false_alarms.sum() == 1
    assert len(trial.counties) == 3


async def test_days_without_labels_and_without_signals_are_a_trial_all_the_same(
    town: Town,
) -> None:
    async with town.database.read() as session:
        trial = await recorded_trial(session, day(0), day(DAYS))
        rules = await rules_in_force(session)
    assert trial.truths == ()
    assert alarms_of(rules, trial) == []
    assert [rule[0].id for rule in rules.rules] == sorted(rule[0].id for rule in rules.rules)
