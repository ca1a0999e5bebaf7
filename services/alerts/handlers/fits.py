"""Fits again what is to be expected: when a day begins, and when the past has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from services.alerts.domain.detection.verdict import Abstention
from services.alerts.domain.expecting.judging import Judged, judge_days
from services.alerts.domain.expecting.tail import Tail
from services.alerts.handlers.counts import (
    counting_now,
    refit_key,
    today_in,
    topic_lock,
)
from services.alerts.handlers.verdicts import judge_series
from services.alerts.repository.detection import Counting
from services.alerts.repository.fits import (
    FitOfDay,
    Past,
    StoredFit,
    Topic,
    fitted_topics,
    read_delays,
    read_past,
    resize,
    write_fits,
    write_sizes,
)
from services.alerts.repository.series import add_silent, read_days, write_series
from shared.database.work import Work
from shared.ids import new_id

DAILY, ALL = "daily", "*"
# Farrington's years, the weeks around them, and the days that are judged again.
YEAR_DAYS, MORE_DAYS = 7 * 52, 7 * 6
# A day's first minutes are not worth a fit: reports of yesterday still come.
AFTER_MIDNIGHT = timedelta(minutes=5)


async def ring_refit(work: Work, keys: Sequence[str]) -> None:
    """Timer: hand on to the evaluator."""
    work.due("refit", keys)


async def refit(work: Work, keys: Sequence[str]) -> None:
    """Evaluator of `refit`; the keys name a kind, a syndrome and the first day to be judged again
    (or `daily`: as many days as reports come late)."""
    counting = await counting_now(work)
    if counting is None:
        return
    today = today_in(work, counting)
    oldest = today - timedelta(days=counting.document.rejudge_days)
    late = today - timedelta(days=counting.policy.delay_days_most)
    first: dict[Topic, date] = {}
    for key in keys:
        kind, syndrome, day = key.split("|")
        topics = await fitted_topics(work) if kind == ALL else [Topic(kind, syndrome)]
        begin = {DAILY: late, ALL: oldest}.get(day) or date.fromisoformat(day)
        for topic in topics:
            first[topic] = min(first.get(topic, today), max(begin, oldest))
    wanted = sorted(topic for topic in first if topic.point_kind in counting.policy.kinds)
    # One topic a transaction: counts are carried under the locks of several, in another order.
    work.due("refit", [refit_key(topic, first[topic]) for topic in wanted[1:]])
    for topic in wanted[:1]:
        await _refit_topic(work, counting, topic, first[topic], today)


async def _refit_topic(
    work: Work, counting: Counting, topic: Topic, first: date, today: date
) -> None:
    policy = counting.policy
    look_back = policy.farrington_years_most * YEAR_DAYS + MORE_DAYS
    begin = first - timedelta(days=look_back)
    past = await read_past(work, topic, (begin, today), counting.outbreaks)
    if past is None:
        return
    delays = await read_delays(work, topic, today, policy.delay_days_most)
    table = past.table
    days = range(table.number(first), table.number(today) + 1)
    # The arithmetic of thousands of series: the loop of this process goes on meanwhile.
    judged = await asyncio.to_thread(
        judge_days, table, policy, counting.calendar, days, delays=delays
    )
    await work.lock(topic_lock(topic))
    fits = _fits_of(judged, today)
    await write_fits(work, topic, fits, _areas(judged), judged.tail)
    await _store_sizes(work, counting, topic, past, judged)
    await _add_silent(work, topic, judged, today)
    rows = await read_days(work, topic, first, today)
    changed = await judge_series(work, counting, rows, _stored(topic, judged, fits), today)
    await write_series(work, changed)
    work.timer("refit", refit_key(topic, DAILY), _tomorrow(work, counting))


def _areas(judged: Judged) -> list[str]:
    return [area_id for area_id, _, _ in judged.table.keys()]  # noqa: SIM118 - no dict


def _fits_of(judged: Judged, today: date) -> list[FitOfDay]:
    return [
        FitOfDay(
            day=judged.table.day(int(number)),
            fit_id=new_id(),
            today=today,
            share=float(judged.shares[0, column]),
            policy=judged.policy.name,
        )
        for column, number in enumerate(judged.days)
    ]


def _stored(
    topic: Topic, judged: Judged, fits: Sequence[FitOfDay]
) -> dict[tuple[Topic, date], StoredFit]:
    """As they will be read back; the last place is that of an area without any."""
    series = {area_id: place for place, area_id in enumerate(_areas(judged))}
    nothing = Tail.empty((1,))
    names = Tail.__dataclass_fields__
    return {
        (topic, one.day): StoredFit(
            one,
            series,
            Tail(
                *(
                    np.concatenate([getattr(judged.tail, name)[:, column], getattr(nothing, name)])
                    for name in names
                )
            ),
            {},
        )
        for column, one in enumerate(fits)
    }


async def _store_sizes(
    work: Work, counting: Counting, topic: Topic, past: Past, judged: Judged
) -> None:
    table = past.table
    for monday, sizes in judged.sizes:
        await write_sizes(work, topic, table.day(monday), past.site_keys, sizes)
    if counting.policy.kinds[topic.point_kind].denominator == "sites":
        first, last = table.day(int(judged.days[0])), table.day(int(judged.days[-1]))
        await resize(work, topic, first, last)


async def _add_silent(work: Work, topic: Topic, judged: Judged, today: date) -> None:
    """Days that are over and on which nobody spoke who should have."""
    areas = _areas(judged)
    silent = [
        (areas[series], day)
        for series, column in np.argwhere(judged.abstains == Abstention.SILENT).tolist()
        if (day := judged.table.day(int(judged.days[column]))) < today
    ]
    await add_silent(work, topic, silent)


def _tomorrow(work: Work, counting: Counting) -> datetime:
    zone = ZoneInfo(counting.document.zone)
    midnight = datetime.combine(today_in(work, counting) + timedelta(days=1), time(), zone)
    return midnight + AFTER_MIDNIGHT
