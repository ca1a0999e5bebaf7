"""The outbreaks of a generated city: where, when, of what and how large. The truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.alerts.domain.detection.verdict import FloatArray, IntArray
from services.alerts.laboratory.generated.parameters import diseases, parameters, syndromes
from services.alerts.laboratory.generated.world import World

YEAR_DAYS = 365.25
SECOND_PART = 3  # every third case lives in the neighbouring township, where there are any


@dataclass(frozen=True, slots=True)
class Outbreak:
    """`first_day` and `last_day`: of its onsets, numbers of days. `townships`: where its ill people
    live, the main one first. `known`: labelled afterwards, so left out of baselines."""

    number: int
    disease: str
    syndrome: str
    townships: tuple[int, ...]
    first_day: int
    last_day: int
    size: int
    known: bool


@dataclass(frozen=True, slots=True)
class Onsets:
    """The ill people of all outbreaks, one value each."""

    outbreak: IntArray
    township: IntArray
    at_days: FloatArray
    child: FloatArray  # 1 or 0


def draw(random: np.random.Generator, world: World) -> tuple[list[Outbreak], Onsets]:
    """In no township two at a time; none begins so late that it cannot be seen whole."""
    content = parameters()
    per_day = content["outbreaks_per_township_year"] / YEAR_DAYS
    names = diseases()
    shares = np.array([content["diseases"][name]["share"] for name in names])
    found: list[Outbreak] = []
    parts: list[tuple[IntArray, IntArray, FloatArray, FloatArray]] = []
    for township in range(world.extent.townships):
        day = int(random.integers(-content["outbreak_gap_days"], content["outbreak_gap_days"]))
        while True:
            day += content["outbreak_gap_days"] + int(random.exponential(1.0 / per_day))
            if day >= world.extent.days - content["outbreak_gap_days"]:
                break
            if day < 0:
                continue
            name = names[int(random.choice(len(names), p=shares / shares.sum()))]
            outbreak, onsets = _one(random, world, (len(found), name, township, day))
            found.append(outbreak)
            parts.append(onsets)
    if not parts:
        empty = np.zeros(0)
        nothing = np.zeros(0, dtype=np.int64)
        return [], Onsets(nothing, nothing, empty, empty)
    return found, Onsets(*(np.concatenate([part[n] for part in parts]) for n in range(4)))


def _one(
    random: np.random.Generator, world: World, which: tuple[int, str, int, int]
) -> tuple[Outbreak, tuple[IntArray, IntArray, FloatArray, FloatArray]]:
    number, name, township, day = which
    content = parameters()
    rule = content["diseases"][name]
    median, deviation = rule["size"]
    size = max(int(median * np.exp(random.normal(0.0, deviation))), 5)
    shape, mean = rule["curve"]
    at = day + np.sort(random.gamma(shape, mean / shape, size))
    at = at - at[0] + day + random.random()
    lives = np.full(size, township)
    towns: tuple[int, ...] = (township,)
    if random.random() < rule["spread"]:
        neighbour = world.neighbour(township)
        towns = (township, neighbour)
        lives[SECOND_PART - 1 :: SECOND_PART] = neighbour
    child = (random.random(size) < rule["child"]).astype(np.float64)
    outbreak = Outbreak(
        number=number,
        disease=name,
        syndrome=rule["syndrome"],
        townships=towns,
        first_day=int(at[0]),
        last_day=int(at[-1]),
        size=size,
        known=bool(random.random() < content["known_share"]),
    )
    return outbreak, (np.full(size, number), lives, at, child)


def syndrome_codes(outbreaks: list[Outbreak]) -> IntArray:
    order = {name: code for code, name in enumerate(syndromes())}
    return np.array([order[one.syndrome] for one in outbreaks], dtype=np.int64)
