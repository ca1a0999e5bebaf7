"""Days of series as the counts leave them, and rules that look at them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from services.alerts.domain.excess import Excess
from services.alerts.repository.detection import COUNTING
from services.alerts.tables import series_day
from shared.database.work import Actor
from shared.policy import PolicyFile, store_policy
from tests.service.alerts.town import COUNTY, Town
from tests.unit.alerts.samples import START

FIRST_DAY = START.date()
RULE: dict[str, Any] = {
    "title_zh": "多源异常", "title_en": "Several series are high", "level": "yellow",
    "point_kinds": ["fever_clinic", "pharmacy", "school"], "min_points": 2, "min_kinds": 2,
    "min_persons": 2, "count_unlinked": True, "window_hours": 72, "area_level": "county",
    "area_of": "place", "lit_by": "excess", "quiet_hours": 96,
}  # fmt: skip


def day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


def high(kind: str, number: int, **changes: Any) -> Excess:
    """Twelve persons where five were expected and nine are no alarm, in the county."""
    known: dict[str, Any] = {
        "area_id": COUNTY, "point_kind": kind, "syndrome": "fever", "day": day(number),
        "observed": 12, "expected": 5.0, "limit": 9.0, "p_value": 0.005, "method": "test@1",
        "sites": 3,
    }  # fmt: skip
    return Excess(**(known | changes))


async def count_nothing(town: Town) -> None:
    """Without these policies no report is counted: the days are those that a test writes."""
    policy = town.database.tables.policy
    async with town.database.work(Actor("command")) as work:
        await work.execute(delete(policy).where(policy.c.kind.in_(COUNTING)))


async def judge_days(town: Town, *excesses: Excess) -> None:
    """Store these days and say that they are due, as the counts do in one transaction."""
    async with town.database.work(Actor("due:counts")) as work:
        await store(work, *excesses)
        work.due("excess", {key_of(one) for one in excesses})


async def store(work: Any, *excesses: Excess) -> None:
    for one in excesses:
        where = {
            "area_id": one.area_id, "point_kind": one.point_kind, "syndrome": one.syndrome,
            "day": one.day,
        }  # fmt: skip
        table = series_day.c
        await work.execute(
            delete(series_day).where(*(table[name] == value for name, value in where.items()))
        )
        row = {
            **where, "persons": one.observed, "seen": 0, "records": one.observed,
            "sites": one.sites, "judged_persons": one.observed,
            "size_milli": 0, "doubt_milli": 0, "expected": one.expected,
            "limit_count": one.limit, "p_value": one.p_value, "method": one.method,
            "abstains": int(one.abstains), "version": 1,
        }  # fmt: skip
        await work.execute(insert(series_day).values(row))


def key_of(one: Excess) -> str:
    return f"{one.area_id}/{one.point_kind}/{one.syndrome}/{one.day.isoformat()}"


async def write_rule(
    town: Town, rule_id: str = "excess", *, kind: str = "alerts.rule", **changes: Any
) -> None:
    """A rule of this document, or with `kind` another policy, and everything that it changes."""
    document = {**RULE, **changes} if kind == "alerts.rule" else changes
    file = PolicyFile.model_validate(
        {
            "id": rule_id, "version": 1, "kind": kind, "valid_from": date(2009, 1, 1),
            "source": "test", "author": "test", "document": document,
        }
    )  # fmt: skip
    async with town.database.work(Actor("command")) as work:
        await store_policy(work, town.database.tables, file, state="active")
    said = [event for event in await town.said() if event.type == "outpost.policy.changed"]
    await town.hear(*said)
    await town.settle()
