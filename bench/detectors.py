"""Farrington flexible beside R's `surveillance`, in one run and with equal alarms; and the 42
scenarios."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.figures import Baseline, Figure, Goal
from services.alerts.domain.detection.flexible import Flexible, flexible
from services.alerts.domain.detection.forecast import FewCases
from services.alerts.domain.detection.verdict import Counts, FloatArray
from services.alerts.laboratory.benchmark import names, run
from services.alerts.laboratory.scenarios import weekly

SCRIPT = Path(__file__).with_name("farrington_flexible.R")
# Noufaily's settings; rare diseases are judged too, as R is told.
RULE = Flexible(few=FewCases(cases=0))
WEEKS = 49
ALONE = 14
BATCH = 300
ROUNDS = 3
REPLICATES = 100
SCENARIOS_SECONDS_MOST = 600.0


@dataclass(frozen=True, slots=True)
class Told:
    """What R said: processor milliseconds per point, alarms and limits (series, week)."""

    milliseconds: float
    alarms: FloatArray
    limits: FloatArray


async def measure(folder: Path) -> list[Figure]:
    """Milliseconds of processor time per judged week, ours before and after R's: the host's speed
    changes, and this way it changes for both."""
    series = _series(BATCH)
    alone = series[:: BATCH // ALONE][:ALONE]
    before = _per_point(lambda: _one_at_a_time(alone), len(alone))
    told = _ask_r(folder, alone)
    after = _per_point(lambda: _one_at_a_time(alone), len(alone))
    batched = _per_point(lambda: _judge(series), len(series))
    ours = (before + after) / 2.0
    if told is None:
        note = "R with `surveillance` is not here (Debian: r-cran-surveillance)"
        return [
            Figure("one series at a time", ours, "ms a point", note=note),
            Figure(f"{BATCH} series at once", batched, "ms a point"),
        ]
    equal = _compared(alone, told)
    base = (Baseline("R, ms a point", told.milliseconds),)
    return [
        Figure("R, one series at a time", told.milliseconds, "ms a point", note=equal),
        Figure("ours, one series at a time", ours, "ms a point", baselines=base),
        Figure("ours, 300 series at once", batched, "ms a point", baselines=base),
        Figure("times as fast, alone", told.milliseconds / ours, "×", Goal("at least", 10.0)),
        Figure("times as fast, 300", told.milliseconds / batched, "×", Goal("at least", 40.0)),
    ]


async def measure_scenarios() -> list[Figure]:
    """The whole of `python -m services.alerts benchmark --pace weekly`, by the wall clock."""
    started = time.perf_counter()
    rows = run("weekly", replicates=REPLICATES, seed=1, workers=2, advance=lambda: None)
    seconds = time.perf_counter() - started
    note = f"{rows[0].series:,} series, {len(rows)} methods, each with and without the outbreak"
    goal = Goal("at most", SCENARIOS_SECONDS_MOST)
    return [Figure(f"{len(names('weekly'))} scenarios", seconds, "s", goal, note=note)]


def _series(count: int) -> FloatArray:
    """Series of all 42 scenarios in turn."""
    parts = [weekly(name, replicates=-(-count // 42), seed=9).counts for name in names("weekly")]
    return np.concatenate(
        [part[turn : turn + 1] for turn in range(len(parts[0])) for part in parts]
    )[:count]


def _judge(series: FloatArray) -> FloatArray:
    verdicts = flexible(Counts.of(series), RULE, latest=WEEKS).verdicts
    return np.stack([verdicts.alarm.astype(np.float64), verdicts.limit])


def _one_at_a_time(series: FloatArray) -> FloatArray:
    return np.concatenate([_judge(one[None, :]) for one in series], axis=1)


def _per_point(judge: Callable[[], FloatArray], series: int) -> float:
    """The best of some rounds: whatever disturbs, disturbs upwards."""
    judge()
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        judge()
        times.append(time.process_time() - started)
    return 1000.0 * min(times) / (series * WEEKS)


def _ask_r(folder: Path, series: FloatArray) -> Told | None:
    program = shutil.which("Rscript")
    if program is None:
        return None
    file = folder / "series.csv"
    np.savetxt(file, series, fmt="%d", delimiter=",")
    times, answer = [], ""
    for _ in range(ROUNDS):
        done = subprocess.run(
            [program, "--vanilla", str(SCRIPT), str(file), str(WEEKS)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return None
        first, _, answer = done.stdout.partition("\n")
        times.append(float(first))
    numbers = np.array(
        [[float(one.replace("NA", "nan")) for one in line.split()] for line in answer.splitlines()]
    )
    milliseconds = 1000.0 * min(times) / (len(series) * WEEKS)
    return Told(milliseconds, numbers[:, :WEEKS], numbers[:, WEEKS:])


def _compared(series: FloatArray, told: Told) -> str:
    alarms, limits = _one_at_a_time(series)
    points = alarms.size
    same_alarms = int((alarms == np.nan_to_num(told.alarms)).sum())
    same_limits = int(((limits == told.limits) | np.isnan(told.limits)).sum())
    return (
        f"equal alarms at {same_alarms:,} and equal limits at {same_limits:,} of {points:,} points"
    )
