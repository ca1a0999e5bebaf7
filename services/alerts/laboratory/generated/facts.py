"""What the points tell of illness: facts as the live path gets them, late and corrected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.alerts.domain.detection.verdict import FloatArray, IntArray
from services.alerts.laboratory.generated.illness import (
    Ill,
    household_of,
    persons,
)
from services.alerts.laboratory.generated.parameters import KINDS, SCHOOLS, parameters, syndromes
from services.alerts.laboratory.generated.world import World

# `at` and `recorded` in days from the city's first local midnight; `known_after`: whole days from
# its day to the day on which it was recorded. `version` 2 corrects the first one of the same
# `record`; `syndrome` -1: withdrawn. `person` and `household` -1: nobody named. `outbreak` is the
# truth, which no report tells.
FACT = np.dtype(
    [
        ("record", np.int64),
        ("version", np.int8),
        ("kind", np.int8),
        ("site", np.int32),
        ("township", np.int16),
        ("syndrome", np.int8),
        ("person", np.int64),
        ("household", np.int64),
        ("at", np.float64),
        ("recorded", np.float64),
        ("outbreak", np.int32),
    ]
)
Facts = NDArray[np.void]
POSTPONED_MOST = 4
ABSENT_DAYS_MOST = 2
OPEN_AT, OPEN_HOURS = 8.0, 11.0
RECORDING_DEVIATION = 0.5


@dataclass(frozen=True, slots=True)
class Visits:
    """Who is seen at a kind of point, before anybody writes it down."""

    township: IntArray
    syndrome: IntArray
    at_days: FloatArray
    person: IntArray
    outbreak: IntArray


def told(
    random: np.random.Generator, world: World, ill: Ill, others: Mapping[str, Visits]
) -> Facts:
    """All facts of these episodes and of those who come for other reasons; `record` is their
    number here."""
    parts = []
    for kind, name in enumerate(KINDS):
        visits = _joined(_of_the_ill(random, ill, name), others[name])
        parts.append(_facts(random, world, visits, kind))
    facts = np.concatenate(parts)
    facts["record"] = np.arange(len(facts))
    answer: Facts = np.concatenate([facts, _corrections(random, facts)])
    return answer


def other_visits(
    random: np.random.Generator, world: World, days: tuple[int, int]
) -> dict[str, Visits]:
    """People who look the same and are not ill of anything that goes round."""
    content = parameters()
    first, last = days
    townships = world.extent.townships
    found = {}
    for name in KINDS:
        rates = np.array([content["syndromes"][one]["others"][name] for one in syndromes()])
        mean = rates[:, None, None] / 1000.0 * world.population[None, :, None]
        counts = random.poisson(np.broadcast_to(mean, (len(rates), townships, last - first)))
        syndrome, township, day = (
            np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices(counts.shape)
        )
        child = np.full(len(day), name in SCHOOLS)
        person = persons(random, world, township, child)
        at = first + day + random.random(len(day))
        found[name] = Visits(township, syndrome, at, person, np.full(len(day), -1))
    return found


def _of_the_ill(random: np.random.Generator, ill: Ill, name: str) -> Visits:
    content = parameters()
    chances = np.array(
        [
            [
                content["chances"][one][age].get(_chance_name(name), 0.0)
                for age in ("adult", "child")
            ]
            for one in syndromes()
        ]
    )
    chance = chances[ill.syndrome, ill.child.astype(np.int64)]
    if name in SCHOOLS:
        young = ill.person % 100 < 100 * content["places"]["kindergarten_share"]
        chance = np.where(ill.child & (young == (name == "kindergarten")), chance, 0.0)
    seen = random.random(len(chance)) < chance
    mean, deviation = content["points"][name]["delay"]
    shape = (mean / deviation) ** 2
    delay = random.gamma(shape, mean / shape, int(seen.sum()))
    return Visits(
        ill.township[seen],
        ill.syndrome[seen],
        ill.at_days[seen] + delay,
        ill.person[seen],
        ill.outbreak[seen],
    )


def _chance_name(kind: str) -> str:
    return "attendance" if kind in SCHOOLS else kind


def _joined(*parts: Visits) -> Visits:
    names = Visits.__dataclass_fields__
    return Visits(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _facts(random: np.random.Generator, world: World, visits: Visits, kind: int) -> Facts:
    rule = parameters()["points"][KINDS[kind]]
    day = _day_seen(random, world, visits, kind)
    site = _site(random, world, visits.township, kind)
    kept = (day >= 0) & (day < world.extent.days)
    kept[kept] = world.speaks[site[kept], day[kept]]
    day, site = day[kept], site[kept]
    count = len(day)
    hour = OPEN_AT + OPEN_HOURS * random.random(count)
    facts = np.zeros(count, dtype=FACT)
    facts["version"] = 1
    facts["kind"] = kind
    facts["site"] = site
    facts["township"] = visits.township[kept]
    facts["syndrome"] = visits.syndrome[kept]
    named = random.random(count) < rule["named"]
    person = visits.person[kept]
    facts["person"] = np.where(named, person, -1)
    facts["household"] = np.where(named, household_of(world, person), -1)
    facts["at"] = day + hour / 24.0
    facts["recorded"] = facts["at"] + _recording(random, rule, count)
    facts["outbreak"] = visits.outbreak[kept]
    return facts


def _day_seen(random: np.random.Generator, world: World, visits: Visits, kind: int) -> IntArray:
    """The day of the visit; -1: nobody came, it was over before the point opened again."""
    share = world.share[kind]
    most = ABSENT_DAYS_MOST if KINDS[kind] in SCHOOLS else POSTPONED_MOST
    day = np.floor(visits.at_days).astype(np.int64)
    waiting = np.ones(len(day), dtype=np.bool_)
    for _ in range(most + 1):
        inside = np.clip(day, 0, len(share) - 1)
        waiting &= random.random(len(day)) >= share[inside]
        day[waiting] += 1
    return np.where(waiting, -1, day)


def _site(random: np.random.Generator, world: World, township: IntArray, kind: int) -> IntArray:
    """One of the township's points of the kind, by their size."""
    first, count = world.slots[0, kind]
    per_township = len(world.site_kind) // world.extent.townships
    weight = world.site_weight.reshape(world.extent.townships, per_township)
    limits = np.cumsum(weight[:, first : first + count], axis=1)[:, :-1]
    chosen = (random.random(len(township))[:, None] >= limits[township]).sum(axis=1)
    return np.asarray(world.slots[township, kind, 0] + chosen)


def _recording(random: np.random.Generator, rule: Mapping[str, Any], count: int) -> FloatArray:
    """Days from the event to its record."""
    soon = rule["hours"] / 24.0 * np.exp(random.normal(0.0, RECORDING_DEVIATION, count))
    late = random.random(count) < rule["late_share"]
    return np.asarray(np.where(late, soon + random.exponential(rule["late_days"], count), soon))


def _corrections(random: np.random.Generator, facts: Facts) -> Facts:
    """Half of the corrected ones are withdrawn, half turn out to be another syndrome."""
    chosen = facts[random.random(len(facts)) < parameters()["corrected_share"]].copy()
    count = len(chosen)
    another = (chosen["syndrome"] + 1 + random.integers(0, 2, count)) % len(syndromes())
    chosen["version"] = 2
    chosen["syndrome"] = np.where(random.random(count) < 0.5, -1, another)
    chosen["recorded"] += random.exponential(1.0, count)
    answer: Facts = chosen
    return answer
