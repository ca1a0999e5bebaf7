"""Twenty rules over two million signals of three hundred townships, back-tested by the live path's
own evaluation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psutil

from bench.figures import Figure, Goal
from services.alerts.laboratory.backtest import RuleSet, alarms_of, stored_rule
from services.alerts.laboratory.generated.city import City, generate
from services.alerts.laboratory.generated.parameters import KINDS, Extent, syndromes
from services.alerts.laboratory.rating import rate
from services.alerts.laboratory.trial import judged_days, trial_of

# A tuning seed: scoring seeds are for scoring alone.
SEED = 101
EXTENT = Extent(counties=15, townships_per_county=20, history_days=400, judged_days=182)
FACTS_FROM = 380
SECONDS_MOST = 180.0


async def measure() -> list[Figure]:
    """By the wall clock, one process, from counts and facts to rated alerts; making the city is no
    part of it."""
    city = generate(SEED, EXTENT, facts_from=FACTS_FROM)
    process = psutil.Process()
    started, used = time.perf_counter(), time.process_time()
    judged = judged_days(city)
    days = time.perf_counter()
    trial = trial_of(city, judged)
    ready = time.perf_counter()
    rules = RuleSet("twenty", tuple((stored_rule(one),) for one in _documents()))
    alarms = alarms_of(rules, trial)
    rating = rate(trial, alarms)
    ended, spent = time.perf_counter(), time.process_time() - used
    note = (
        f"{len(city.facts):,} records, {len(trial.city.areas)} areas, {len(rules.rules)} rules, "
        f"{len(alarms):,} alerts, {int(rating.found.sum())} of {len(trial.truths)} outbreaks; "
        f"{spent:.0f} s of processor time, {process.memory_info().rss / 1e9:.1f} GB"
    )
    return [
        Figure("back-test", ended - started, "s", Goal("at most", SECONDS_MOST), note=note),
        Figure("judging 364 days of every series", days - started, "s"),
        Figure("signals and days as columns", ready - days, "s"),
        Figure("20 rules", ended - ready, "s"),
        Figure("signals", _signals(city) / 1e6, "million", Goal("at least", 2.0)),
    ]


def _signals(city: City) -> int:
    return int((city.facts["version"] == 1).sum())


def _documents() -> Iterator[dict[str, Any]]:
    """Consensus and counting of lit kinds at both levels for each syndrome, neighbours, households,
    and rules on single events."""
    for syndrome in syndromes():
        for level in ("township", "county"):
            together = {"method": "stouffer", "p_below": 1e-4, "across_areas": True, "days": 5}
            yield _rule(f"agree_{syndrome}_{level}", syndrome, level, consensus=together)
            yield _rule(f"lit_{syndrome}_{level}", syndrome, level, min_kinds=3, min_points=3)
        near = {"reach": "neighbours", "min_kinds": 3, "min_points": 4}
        yield _rule(f"near_{syndrome}", syndrome, "township", **near)
        homes = {"min_households": 5, "min_persons": 8}
        yield _rule(f"homes_{syndrome}", syndrome, "township", **homes)
    for level, persons in (("township", 60), ("county", 900)):
        events = {"lit_by": "event", "kinds": {}, "window_hours": 24, "min_persons": persons}
        yield _rule(f"events_{level}", "", level, **events)


def _rule(name: str, syndrome: str, level: str, **given: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "title_zh": "测量",
        "title_en": "Measured",
        "level": "blue",
        "point_kinds": list(KINDS),
        "min_points": 2,
        "min_kinds": 2,
        "min_persons": 3,
        "count_unlinked": True,
        "window_hours": 72,
        "quiet_hours": 168,
        "area_level": level,
        "area_of": "place",
        "lit_by": "excess",
        "kinds": {kind: {"p_below": 0.05, "syndromes": [syndrome]} for kind in KINDS},
    }
    return {"id": name, "version": 1, "document": document | given}
