"""Twenty thousand signals over the log, some corrected, some told twice: the alerts that stand in
the end are those of the back-test, word for word."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest_asyncio
from sqlalchemy import URL, delete, select

from services.alerts.app import service
from services.alerts.domain.evaluation import evaluate
from services.alerts.handlers.telling import content_of
from services.alerts.laboratory.backtest import RuleSet
from services.alerts.laboratory.generated.parameters import Extent
from services.alerts.laboratory.recorded import recorded_trial, rules_in_force
from services.alerts.laboratory.trial import Trial
from services.alerts.repository.rules import RULE as RULE_KIND
from services.alerts.repository.rules import book_of
from services.alerts.tables import alert, signal
from shared.bus.envelope import encode
from shared.database.work import Actor
from shared.events.base import Event
from shared.events.intake import ReportRecorded
from shared.policy import PolicyFile, store_policy
from tests.conftest import drop_database
from tests.journey.conftest import NOW
from tests.journey.database import copy_template
from tests.journey.generated import areas, city_of, reports, struck
from tests.journey.harness import Outpost, embedded_outpost

SEED = 101
DAYS = 18
EXTENT = Extent(counties=3, townships_per_county=11, history_days=DAYS, judged_days=1)
SIGNALS = 20_000
TWICE = 500
CORRECTED = 100
CHUNK = 2_000
SETTLED_SECONDS = 180.0
# Midnight in China; the last day is over.
FIRST_AT = NOW.replace(hour=16, minute=0) - timedelta(days=DAYS + 1)
STRUCK, STRUCK_DAY, STRUCK_BY = 4, DAYS - 2, 40
RULE: dict[str, Any] = {
    "title_zh": "测试", "title_en": "Tested", "level": "blue", "area_level": "township",
    "point_kinds": ["pharmacy", "school", "kindergarten", "outpatient", "emergency"],
    "count_unlinked": True, "area_of": "place",
}  # fmt: skip
RULES: dict[str, dict[str, Any]] = {
    "burst": {"min_points": 5, "min_kinds": 3, "min_persons": 14, "window_hours": 2,
              "quiet_hours": 3},
    "named": {"min_points": 8, "min_kinds": 4, "min_persons": 120, "window_hours": 3,
              "quiet_hours": 4, "area_level": "county", "count_unlinked": False},
    "high": {"min_points": 2, "min_kinds": 2, "min_persons": 2, "window_hours": 24,
             "quiet_hours": 24, "lit_by": "excess", "p_below": 0.05},
    "both": {"min_points": 4, "min_kinds": 2, "min_persons": 10, "window_hours": 12,
             "quiet_hours": 24, "lit_by": "excess", "area_level": "county",
             "kinds": {"school": {"lit_by": "event", "weight": 0.5}}, "min_weight": 2},
}  # fmt: skip
Alerts = dict[tuple[Any, ...], dict[str, Any]]


@pytest_asyncio.fixture
async def outpost(template: URL) -> AsyncIterator[Outpost]:
    """The alerts service alone: what it hears, the test says."""
    url = await copy_template(template, "journey_same")
    async with embedded_outpost(url, [service], at=FIRST_AT + timedelta(days=DAYS)) as outpost:
        yield outpost
    await drop_database(template, "journey_same")


async def add_rules(outpost: Outpost) -> None:
    database = outpost.databases["alerts"]
    policy = database.tables.policy
    async with database.work(Actor("command")) as work:
        # Those that are shipped do not end by themselves: the city would be one alert.
        await work.execute(delete(policy).where(policy.c.kind == RULE_KIND.name))
        for name, changes in RULES.items():
            file = PolicyFile.model_validate(
                {
                    "id": name, "version": 1, "kind": "alerts.rule", "valid_from": "2009-01-01",
                    "source": "test", "author": "test", "document": RULE | changes,
                }
            )  # fmt: skip
            await store_policy(work, database.tables, file, state="active")


async def say(outpost: Outpost, events: Sequence[Event]) -> None:
    publisher = await outpost.bus.publisher("test")
    for start in range(0, len(events), CHUNK):
        chunk = events[start : start + CHUNK]
        await publisher.publish([encode(event, source="intake") for event in chunk])
    await publisher.close()


def standing(told: Sequence[ReportRecorded]) -> dict[Any, datetime]:
    """The records whose newest version was not withdrawn, and when they happened."""
    newest: dict[Any, ReportRecorded] = {}
    for one in told:
        if one.record_id not in newest or one.record_version > newest[one.record_id].record_version:
            newest[one.record_id] = one
    return {i: one.occurred_at for i, one in newest.items() if one.status == "recorded"}


def found_again(rules: RuleSet, trial: Trial) -> Alerts:
    """Every alert of the back-test with its explanation, by rule, area and first instant."""
    found: Alerts = {}
    for versions in rules.rules:
        for one in evaluate(book_of(versions), trial.city, trial.tree):
            content = content_of(one.decision) | {
                "silent_if": list(one.silence.removed),
                "silent_if_text_en": one.silence.text_en,
                "silent_if_text_zh": one.silence.text_zh,
            }
            found[versions[0].id, one.area_id, content["first_at"]] = content
    return found


async def test_what_stands_after_twenty_thousand_signals_is_what_the_backtest_finds(
    outpost: Outpost,
) -> None:
    await add_rules(outpost)
    city = city_of(SEED, EXTENT)
    facts = np.concatenate([city.facts, struck(city, STRUCK, STRUCK_DAY, persons=STRUCK_BY)])
    told = list(reports(city, facts, FIRST_AT))
    await say(outpost, areas(city))
    await say(outpost, [*told, *random.Random(SEED).sample(told, TWICE)])
    await outpost.settled(within_seconds=SETTLED_SECONDS)
    # What corrections changed of the past is learnt minutes later.
    outpost.clock.move_to(outpost.clock.now() + timedelta(minutes=20))
    await outpost.settled(within_seconds=SETTLED_SECONDS)

    async with outpost.databases["alerts"].read() as session:
        lit = (await session.execute(select(signal).where(signal.c.standing))).all()
        stands = (await session.execute(select(alert).where(alert.c.state != "withdrawn"))).all()
        rules = await rules_in_force(session)
        first, last = ((FIRST_AT + timedelta(days=one)).date() for one in (0, DAYS + 1))
        trial = await recorded_trial(session, first, last)
    assert {row.record_id: row.occurred_at for row in lit} == standing(told)
    assert len(lit) >= SIGNALS

    expected = found_again(rules, trial)
    names = next(iter(expected.values())).keys()
    live = {
        (row.rule_id, row.area_id, row.first_at): {name: row._mapping[name] for name in names}
        for row in stands
    }
    assert live == expected
    assert len(live) == len(stands)
    # None of this passes on nothing: corrections came, and alerts rest on events, on days that
    # were more than expected, and on both.
    assert sum(one.status == "withdrawn" for one in told) >= CORRECTED
    assert {key[0] for key in live} == set(RULES)
    assert sum(rests_on(one) == {"event"} for one in live.values()) >= 100
    assert sum(rests_on(one) == {"excess"} for one in live.values()) >= 5
    assert {"event", "excess"} in [rests_on(one) for one in live.values()]
    town = city.world.township_id(STRUCK)
    assert any(key[:2] == ("high", town) for key in live)


def rests_on(content: dict[str, Any]) -> set[str]:
    return {"excess" if reason["days"] else "event" for reason in content["reasons"]}
