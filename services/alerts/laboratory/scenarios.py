"""Simulated series that detectors are compared on: 42 weekly scenarios, 16 daily signals.

Numbers and sources: scenarios.yaml. Every scenario has its own stream of random numbers, so that
one of them alone is the same series as among all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from services.alerts.domain.detection.verdict import BoolArray, FloatArray, IntArray

PARAMETERS = Path(__file__).with_name("scenarios.yaml")
YEAR_WEEKS = 52
WEEK = 7


@dataclass(frozen=True, slots=True)
class Simulated:
    """Replicates of one scenario. `baseline` (replicate, period): with the outbreaks of the past;
    `outbreak` of the same shape: cases of the current one. NaN: the source was not open. The
    periods from `first` on are judged."""

    name: str
    baseline: FloatArray
    outbreak: FloatArray
    first: int

    @property
    def counts(self) -> FloatArray:
        return self.baseline + self.outbreak


@cache
def parameters() -> Mapping[str, Any]:
    content: Mapping[str, Any] = yaml.safe_load(PARAMETERS.read_text(encoding="utf-8"))
    return content


def weekly_names() -> list[str]:
    """ "1" to "42", numbered as in the literature."""
    return [str(number + 1) for number in range(6 * len(parameters()["weekly"]["rows"]))]


def daily_names() -> list[str]:
    return [signal["id"] for signal in parameters()["daily"]["signals"]]


def weekly(name: str, *, replicates: int, seed: int) -> Simulated:
    """One of the 42 scenarios; scenario = 6 · row + 3 · trend + waves, from 1."""
    rules = parameters()["weekly"]
    number = int(name) - 1
    random = np.random.default_rng([seed, number])
    row, trend, waves = rules["rows"][number // 6], number % 6 // 3, number % 3
    weeks = np.arange(1, rules["weeks"] + 1)
    log_mean = row["theta"] + trend * row["beta"] * weeks
    log_mean = log_mean + _waves(weeks / YEAR_WEEKS, waves, (row["gamma1"], row["gamma2"]))
    mean = np.exp(log_mean)
    shape = (replicates, len(weeks))
    counts = _noise(random, np.broadcast_to(mean, shape), row["phi"]).astype(np.float64)
    deviation = np.sqrt(row["phi"] * mean)
    for series in counts:
        _past_outbreaks(random, series, deviation, rules)
    current = np.zeros(shape)
    first, last = rules["current_weeks"]
    smallest, largest = rules["current_sizes"]
    for number, series in enumerate(current):
        size = smallest + number % (largest - smallest + 1)
        start = int(random.integers(first - 1, last))
        cases = int(random.poisson(size * deviation[start]))
        _spread(random, series, start, cases, rules["spread_deviation"])
    return Simulated(name, counts, current, first - 1)


def daily(name: str, *, replicates: int, seed: int) -> Simulated:
    """One of the 16 daily signals, with holidays and, where it has them, seasonal outbreaks."""
    rules = parameters()["daily"]
    signal = next(one for one in rules["signals"] if one["id"] == name)
    random = np.random.default_rng([seed, 1000 + int(name)])
    days = np.arange(rules["years"] * YEAR_WEEKS * WEEK)
    is_open = days % WEEK < signal["days"]
    mean = _daily_mean(signal, np.arange(1, int(is_open.sum()) + 1))
    shape = (replicates, len(mean))
    counts = _noise(random, np.broadcast_to(mean, shape), signal["phi"]).astype(np.float64)
    whole = np.full((replicates, len(days)), np.nan)
    whole[:, is_open] = counts
    deviation = np.zeros(len(days))
    deviation[is_open] = np.sqrt(signal["phi"] * mean)
    weights = np.array(rules[f"weights_of_{signal['days']}_days"])[days % WEEK]
    if name in rules["seasonal"]:
        for series in whole:
            _seasonal_outbreaks(random, series, weights, signal, rules)
    first = len(days) - WEEK * rules["judged_weeks"]
    spikes = np.zeros(whole.shape)
    for number, series in enumerate(spikes):
        start = int(random.choice(days[first:][is_open[first:]]))
        size = rules["sizes"][number % len(rules["sizes"])] * signal["days"] * deviation[start]
        cases = max(int(random.poisson(size)), 2)
        unit = rules["days_per_unit"]
        _spread(random, series, start, cases, rules["spread_deviation"], per_unit=unit)
    spikes *= weights
    _holidays(whole, signal["days"], rules)
    _holidays(spikes, signal["days"], rules)
    scaled = np.round(whole / signal["divisor"]), np.round(spikes / signal["divisor"])
    return Simulated(name, *scaled, first)


def _waves(turns: FloatArray, waves: int, amplitudes: tuple[float, float]) -> FloatArray:
    """The sum over the first `waves` harmonics; `turns` in whole periods."""
    total = np.zeros(len(turns))
    for wave in range(1, waves + 1):
        angle = 2.0 * np.pi * wave * turns
        total += amplitudes[0] * np.cos(angle) + amplitudes[1] * np.sin(angle)
    return total


def _daily_mean(signal: Mapping[str, Any], day: IntArray) -> FloatArray:
    """`day` counts the days on which the system is open."""
    shifted = day + signal["shift"]
    log_mean = signal["alpha"] + signal["beta"] * shifted
    year = shifted / (YEAR_WEEKS * signal["days"])
    log_mean = log_mean + _waves(year, signal["year_waves"], tuple(signal["year"]))
    week = shifted / signal["days"]
    log_mean = log_mean + _waves(week, signal["week_waves"], tuple(signal["week"]))
    return np.asarray(np.exp(log_mean))


def _noise(random: np.random.Generator, mean: FloatArray, phi: float) -> IntArray:
    """Counts with this mean and variance phi · mean."""
    if phi <= 1.0:
        return random.poisson(mean)
    return random.negative_binomial(mean / (phi - 1.0), 1.0 / phi)


def _past_outbreaks(
    random: np.random.Generator, series: FloatArray, deviation: FloatArray, rules: Mapping[str, Any]
) -> None:
    first, last = rules["past_weeks"]
    weeks = np.arange(first - 1, last)
    for start in random.choice(weeks, size=rules["past_outbreaks"], replace=False):
        size = float(random.choice(rules["past_sizes"]))
        cases = int(random.poisson(size * deviation[start]))
        # What an outbreak of the past leaves for the judged weeks would be an unlabelled one.
        _spread(random, series[:last], int(start), cases, rules["spread_deviation"])


def _seasonal_outbreaks(
    random: np.random.Generator,
    series: FloatArray,
    weights: FloatArray,
    signal: Mapping[str, Any],
    rules: Mapping[str, Any],
) -> None:
    extra = np.zeros(len(series))
    for year in range(rules["years"]):
        start = year * YEAR_WEEKS * WEEK + rules["seasonal_start_day"] + int(random.integers(WEEK))
        cases = int(random.poisson(rules["seasonal"][signal["id"]] * signal["days"]))
        unit = rules["seasonal_days_per_unit"]
        _spread(random, extra, start, cases, rules["spread_deviation"], per_unit=unit)
    series += extra * weights


def _spread(
    random: np.random.Generator,
    series: FloatArray,
    start: int,
    cases: int,
    deviation: float,
    *,
    per_unit: int = 1,
) -> None:
    """Adds the cases at lognormal times after the start; what lies past the end is lost."""
    after = np.floor(per_unit * random.lognormal(0.0, deviation, cases)).astype(np.int64)
    at = start + after
    np.add.at(series, at[at < len(series)], 1.0)


def _holidays(counts: FloatArray, days_a_week: int, rules: Mapping[str, Any]) -> None:
    first: date = rules["first_date"]
    for holiday in rules["holidays"]:
        at = (holiday - first).days
        if days_a_week == WEEK:
            counts[:, at] *= 2.0
            continue
        counts[:, at] = np.where(np.isnan(counts[:, at]), np.nan, 0.0)
        counts[:, at + 1] *= 1.5


def under_way(outbreak: FloatArray) -> BoolArray:
    """Periods with at least one case of the outbreak."""
    return np.nan_to_num(outbreak) > 0
