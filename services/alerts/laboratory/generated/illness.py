"""Who falls ill when: ordinary illness with its seasons, wanders and households, and outbreaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from services.alerts.domain.detection.verdict import BoolArray, FloatArray, IntArray
from services.alerts.laboratory.generated.outbreaks import Onsets
from services.alerts.laboratory.generated.parameters import parameters, syndromes
from services.alerts.laboratory.generated.world import PERSONS_MOST, World

SECOND_WITHIN_DAYS = 4.0


@dataclass(frozen=True, slots=True)
class Ill:
    """Episodes, one value each: `at_days` from the first day of the city; `outbreak` -1: none."""

    township: IntArray
    syndrome: IntArray
    at_days: FloatArray
    person: IntArray
    child: BoolArray
    outbreak: IntArray

    @classmethod
    def joined(cls, *parts: Ill) -> Ill:
        return cls(
            *(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls))
        )


@dataclass(frozen=True)
class Climate:
    """(S, T, D): log of the daily rate per person, whatever makes it go up and down."""

    log_rate: FloatArray

    @classmethod
    def draw(cls, random: np.random.Generator, world: World) -> Climate:
        content = parameters()
        effects = content["effects"]
        rules = [content["syndromes"][name] for name in syndromes()]
        townships, days = world.extent.townships, world.extent.days
        day_of_year = world.first.timetuple().tm_yday + np.arange(days)
        own = random.normal(0.0, effects["township_deviation"], (len(rules), townships, 1))
        city = _wander(random, effects["city_wander"], (len(rules), 1, days))
        local = _wander(random, effects["township_wander"], (len(rules), townships, days))
        season = np.stack(
            [
                np.log(rule["rate"] / 1000.0)
                + rule["amplitude"] * np.cos(2 * np.pi * (day_of_year - rule["peak_day"]) / 365.25)
                for rule in rules
            ]
        )
        return cls((season[:, None, :] + own + city + local).astype(np.float64))


def _wander(
    random: np.random.Generator, rule: Mapping[str, float], shape: tuple[int, ...]
) -> FloatArray:
    """First order autoregression over days, stationary, with this deviation and memory."""
    keep = float(np.exp(-1.0 / rule["days"]))
    steps = random.normal(0.0, rule["deviation"], shape)
    walk = np.empty(shape)
    walk[..., 0] = steps[..., 0]
    for day in range(1, shape[-1]):
        walk[..., day] = keep * walk[..., day - 1] + np.sqrt(1 - keep**2) * steps[..., day]
    return walk


def ordinary(
    random: np.random.Generator, world: World, climate: Climate, days: tuple[int, int]
) -> Ill:
    """Episodes that begin within the days [first, last), and who catches it at home."""
    content = parameters()
    names = syndromes()
    first, last = days
    mean = np.exp(climate.log_rate[:, :, first:last]) * world.population[None, :, None]
    phi = np.array([content["syndromes"][name]["phi"] for name in names])[:, None, None]
    counts = random.negative_binomial(mean / (phi - 1.0), np.broadcast_to(1.0 / phi, mean.shape))
    syndrome, township, day = (
        np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices(counts.shape)
    )
    at = first + day + random.random(len(day))
    child_share = np.array([content["syndromes"][name]["child_share"] for name in names])
    child = random.random(len(day)) < child_share[syndrome]
    person = persons(random, world, township, child)
    none = np.full(len(day), -1)
    episodes = Ill(township, syndrome, at, person, child, none)
    return Ill.joined(episodes, _at_home(random, world, episodes, content))


def _at_home(
    random: np.random.Generator, world: World, ill: Ill, content: Mapping[str, Any]
) -> Ill:
    """Some make one more of their household ill."""
    chosen = random.random(len(ill.person)) < content["household_second"]
    township = ill.township[chosen]
    households = household_count(world, township)
    own = ill.person[chosen] - township * PERSONS_MOST
    other = (own + households) % (households * content["places"]["household_persons"])
    return Ill(
        township,
        ill.syndrome[chosen],
        ill.at_days[chosen] + SECOND_WITHIN_DAYS * random.random(int(chosen.sum())),
        other + township * PERSONS_MOST,
        other < child_count(world, township),
        np.full(int(chosen.sum()), -1),
    )


def of_outbreaks(random: np.random.Generator, world: World, onsets: Onsets, codes: IntArray) -> Ill:
    child = onsets.child > 0
    person = persons(random, world, onsets.township, child)
    return Ill(
        onsets.township, codes[onsets.outbreak], onsets.at_days, person, child, onsets.outbreak
    )


def persons(
    random: np.random.Generator, world: World, township: IntArray, child: BoolArray
) -> IntArray:
    """Numbers of persons: in each township children have the first ones."""
    children = child_count(world, township)
    everybody = household_count(world, township) * parameters()["places"]["household_persons"]
    low = np.where(child, 0, children)
    high = np.where(child, children, everybody)
    own = low + np.floor(random.random(len(township)) * (high - low)).astype(np.int64)
    return np.asarray(own + township * PERSONS_MOST)


def child_count(world: World, township: IntArray) -> IntArray:
    share = parameters()["places"]["child_share"]
    children = np.floor(world.population[township] * share).astype(np.int64)
    return np.asarray(np.maximum(children, 1))


def household_count(world: World, township: IntArray) -> IntArray:
    """Person p lives in household p modulo this number: a child with two of its elders."""
    return np.asarray(world.population[township] // parameters()["places"]["household_persons"])


def household_of(world: World, person: IntArray) -> IntArray:
    township = person // PERSONS_MOST
    own = (person - township * PERSONS_MOST) % household_count(world, township)
    return township * PERSONS_MOST + own
