"""All shipped methods on all simulated scenarios, scenario by scenario, in several processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from services.alerts.laboratory.measures import Estimate, Tally, joined, measures, tally
from services.alerts.laboratory.methods import Method, Pace, methods
from services.alerts.laboratory.scenarios import (
    Simulated,
    daily,
    daily_names,
    under_way,
    weekly,
    weekly_names,
)


@dataclass(frozen=True, slots=True)
class Judged:
    """One method on one scenario. `points`: series times judged periods, `seconds` of processor
    time for them."""

    tally: Tally
    points: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """One method over all scenarios of a pace; `milliseconds` of processor time per point."""

    pace: Pace
    method: str
    series: int
    outbreaks: int
    estimates: dict[str, Estimate]
    delay: float  # periods, mean over outbreaks that were found
    milliseconds: float


def names(pace: Pace) -> list[str]:
    return weekly_names() if pace == "weekly" else daily_names()


def judge_scenario(pace: Pace, name: str, replicates: int, seed: int) -> dict[str, Judged]:
    """By the method's name."""
    simulate = weekly if pace == "weekly" else daily
    simulated = simulate(name, replicates=replicates, seed=seed)
    return {method.name: _judged(method, simulated) for method in methods(pace)}


def run(
    pace: Pace, *, replicates: int, seed: int, workers: int, advance: Callable[[], None]
) -> list[Row]:
    """`advance` is called after each scenario. The result depends on the seed alone, not on how
    many processes worked."""
    done: dict[str, dict[str, Judged]] = {}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        tasks = {
            pool.submit(judge_scenario, pace, name, replicates, seed): name for name in names(pace)
        }
        for task in as_completed(tasks):
            done[tasks[task]] = task.result()
            advance()
    ordered = [done[name] for name in names(pace)]
    return [
        _row(pace, method.name, [one[method.name] for one in ordered]) for method in methods(pace)
    ]


def _judged(method: Method, simulated: Simulated) -> Judged:
    most = method.replicates_most
    quiet, current = simulated.baseline[:most], simulated.outbreak[:most]
    first = simulated.first
    started = time.process_time()
    alarm, quiet_alarm = method.judge(quiet + current, first), method.judge(quiet, first)
    seconds = time.process_time() - started
    judged = ~np.isnan(quiet[:, first:])
    counted = tally(alarm, quiet_alarm, under_way(current[:, first:]), judged)
    return Judged(counted, 2 * judged.size, seconds)


def _row(pace: Pace, method: str, judged: list[Judged]) -> Row:
    counted = joined(one.tally for one in judged)
    found = counted.delay[~np.isnan(counted.delay)]
    points = sum(one.points for one in judged)
    return Row(
        pace=pace,
        method=method,
        series=len(counted.delay),
        outbreaks=int(counted.struck.sum()),
        estimates=measures(counted),
        delay=float(found.mean()) if len(found) else float("nan"),
        milliseconds=1000.0 * sum(one.seconds for one in judged) / points,
    )
