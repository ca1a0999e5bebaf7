"""From a stored signal to its judged point, live: three thousand areas, twenty rules."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

from bench.figures import Baseline, Figure, Goal
from bench.process import child_json
from bench.signals_live import Order, Outcome, Report

RATE, GOAL_MS = 5_000, 100.0
# Nearly all that is told a city is that somebody was seen; some of it is fever, and lights a point.
LIT_SHARE = 0.01
TOWNSHIPS = 3_000
WARM = (500, 5.0, LIT_SHARE)
# What is looked at where the goal is missed: fewer signals, and nothing but lit ones.
FEWER = tuple((rate, 10.0, LIT_SHARE) for rate in (2_500, 1_250, 600, 300))
ALL_LIT = (200, 10.0, 1.0)


async def measure(folder: Path, *, seconds: float) -> list[Figure]:
    """One process with the alerts service, one that sends, and PostgreSQL with the log in it."""
    loads = (WARM, (RATE, seconds, LIT_SHARE), *FEWER, ALL_LIT)
    told = json.dumps(asdict(Order(str(folder), TOWNSHIPS, loads)))
    answer = await asyncio.to_thread(child_json, "bench.signals_live", told)
    report = Report([Outcome(**one) for one in answer["outcomes"]], **answer["plain"])
    _, whole, *fewer = report.outcomes
    figures = _figures(whole, report)
    for one in fewer:
        figures += _told(one, f"{one.rate:,}/s, {one.lit_share:.0%} lit")
    kept = [one.rate for one in (whole, *fewer[:-1]) if one.counted[1] <= GOAL_MS]
    return [
        *figures,
        Figure("highest rate with p99 of at most 100 ms", max(kept, default=0), "signals/s"),
    ]


def _figures(whole: Outcome, report: Report) -> list[Figure]:
    note = (
        f"{whole.sent:,} signals at {whole.sent_per_second:,.0f}/s, {whole.lit_share:.0%} of them"
        f" lit; {TOWNSHIPS:,} townships, nine kinds, 20 rules; {whole.missing} not timed, for"
        " their evaluator began in the moment of their commit"
    )
    base = (Baseline("plain upsert of the sums, 500 at once", report.plain_p99),)
    return [
        Figure(
            "stored to judged series, p99", whole.counted[1], "ms", Goal("at most", GOAL_MS), base,
            note,
        ),
        *_told(whole, "the whole load"),
        Figure("plain upsert", report.plain_micros, "µs of the clock per signal"),
    ]  # fmt: skip


def _told(one: Outcome, name: str) -> list[Figure]:
    return [
        Figure(f"{name}: judged series, p50", one.counted[0], "ms"),
        Figure(f"{name}: judged series, p99", one.counted[1], "ms"),
        Figure(f"{name}: lit to judged (rule, area), p50", one.judged[0], "ms"),
        Figure(f"{name}: lit to judged (rule, area), p99", one.judged[1], "ms"),
        Figure(f"{name}: nothing left to do after", one.backlog_seconds, "s"),
        Figure(f"{name}: processor time of Python", one.python_micros, "µs per signal"),
        Figure(f"{name}: of PostgreSQL, log included", one.postgresql_micros, "µs per signal"),
        Figure(f"{name}: of the generator", one.generator_micros, "µs per signal"),
    ]
