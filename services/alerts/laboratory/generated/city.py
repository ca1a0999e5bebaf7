"""The whole city from one seed: its world, its outbreaks, its counts, and the facts of its last
days."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.alerts.laboratory.generated import facts as telling
from services.alerts.laboratory.generated.facts import FACT, Facts
from services.alerts.laboratory.generated.illness import Climate, Ill, of_outbreaks, ordinary
from services.alerts.laboratory.generated.outbreaks import Outbreak, draw, syndrome_codes
from services.alerts.laboratory.generated.parameters import Extent, syndromes, whole_extent
from services.alerts.laboratory.generated.world import World, build

# Days made at a time: what memory holds of a large city.
BLOCK_DAYS = 28
Numbers = NDArray[np.int32]


@dataclass(frozen=True)
class SiteCounts:
    """(N sites, S syndromes, D days): persons as they are known in the end, and as they were known
    `age` days after each day."""

    final: Numbers
    early: Numbers
    age: int


@dataclass(frozen=True)
class City:
    """`facts`: those of the days from `facts_from` on, corrections among them."""

    seed: int
    world: World
    outbreaks: list[Outbreak]
    counts: SiteCounts
    facts: Facts
    facts_from: int


def generate(
    seed: int,
    extent: Extent | None = None,
    *,
    facts_from: int | None = None,
    age: int = 1,
    advance: Callable[[], None] = lambda: None,
) -> City:
    """The same seed and extent give the same city. `facts_from`: a number of a day, by default the
    first judged one. `advance` is called after each block of days."""
    extent = extent or whole_extent()
    kept_from = extent.history_days if facts_from is None else facts_from
    random = np.random.default_rng([seed, 20_251_128])
    world = build(random, extent)
    climate = Climate.draw(random, world)
    outbreaks, onsets = draw(random, world)
    struck = of_outbreaks(random, world, onsets, syndrome_codes(outbreaks))
    shape = (len(world.site_kind), len(syndromes()), extent.days)
    counts = SiteCounts(np.zeros(shape, np.int32), np.zeros(shape, np.int32), age)
    kept, records = [np.zeros(0, dtype=FACT)], 0
    for first in range(0, extent.days, BLOCK_DAYS):
        days = (first, min(first + BLOCK_DAYS, extent.days))
        ill = Ill.joined(ordinary(random, world, climate, days), _within(struck, days))
        others = telling.other_visits(random, world, days)
        facts = telling.told(random, world, ill, others)
        facts["record"] += records
        records += len(facts)
        _count(counts, facts)
        kept.append(facts[facts["at"] >= kept_from])
        advance()
    return City(seed, world, outbreaks, counts, np.concatenate(kept), kept_from)


def _within(ill: Ill, days: tuple[int, int]) -> Ill:
    chosen = (ill.at_days >= days[0]) & (ill.at_days < days[1])
    return Ill(*(getattr(ill, name)[chosen] for name in Ill.__dataclass_fields__))


def _count(counts: SiteCounts, facts: Facts) -> None:
    """Adds persons: a corrected record counts by its correction once that was recorded."""
    corrected = np.isin(facts["record"], facts["record"][facts["version"] == 2])
    first = facts["version"] == 1
    _add(counts.final, facts[(~corrected & first) | ~first])
    day = np.floor(facts["at"])
    known = facts["recorded"] < day + 1 + counts.age
    corrected_known = np.isin(facts["record"], facts["record"][~first & known])
    _add(counts.early, facts[known & ((first & ~corrected_known) | ~first)])


def _add(into: Numbers, facts: Facts) -> None:
    facts = facts[facts["syndrome"] >= 0]
    day = np.floor(facts["at"]).astype(np.int64)
    place = np.ravel_multi_index((facts["site"], facts["syndrome"], day), into.shape)
    into += np.bincount(place, minlength=into.size).reshape(into.shape).astype(np.int32)
