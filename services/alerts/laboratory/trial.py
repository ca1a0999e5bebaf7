"""A city made ready for rules: its days judged by the live path's own functions, its signals as
columns, its truth beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import numpy as np
import yaml

from services.alerts.domain.areas import AreaTree
from services.alerts.domain.city_log import CityLog, EventArrays, city_log
from services.alerts.domain.counting.calendar import Calendar, Term
from services.alerts.domain.counting.delays import Delays
from services.alerts.domain.counting.policy import Detection, KindPolicy
from services.alerts.domain.counting.table import DayCounts, SeriesTable, Sites, tree_of
from services.alerts.domain.detection.verdict import BoolArray, IntArray
from services.alerts.domain.excess import Excess
from services.alerts.domain.expecting.judging import Judged, judge_days
from services.alerts.laboratory.generated.city import City
from services.alerts.laboratory.generated.facts import Facts
from services.alerts.laboratory.generated.outbreaks import Outbreak
from services.alerts.laboratory.generated.parameters import (
    KINDS,
    SCHOOLS,
    days_between,
    parameters,
    syndromes,
)
from services.alerts.laboratory.generated.world import PREFECTURE_ID, World
from services.alerts.repository.detection import DetectionDocument
from shared.ids import derived_id

ZONE = "Asia/Shanghai"
ZONE_AHEAD = timedelta(hours=8)
PRESET = Path(__file__).parents[1] / "presets" / "detection.yaml"
# Consensus is calibrated on days before the scored ones, and windows reach back to some.
NULL_DAYS = 182
WINDOW_DAYS = 28


@dataclass(frozen=True, slots=True)
class Truth:
    """One outbreak as it is scored: the areas in which it lies (its townships and what is above
    them), its syndrome, and the days (ordinals) on which an alert is one of it."""

    number: int
    disease: str
    syndrome: str
    areas: frozenset[str]
    first_day: int
    last_day: int
    size: int


@dataclass(frozen=True)
class Trial:
    """What rules are tried on. `first_day` and `last_day` (ordinals, both included) are scored;
    `age`: days from a day to the one on which its counts are judged."""

    name: str
    city: CityLog
    tree: AreaTree
    first_day: int
    last_day: int
    age: int
    truths: tuple[Truth, ...]

    @property
    def counties(self) -> list[str]:
        """Counties, and what stands in for them where that level is absent."""
        low = ("county", "township", "village", "grid")
        lines = [line.at_level("county") for line in self.tree.lines.values() if line.level in low]
        return sorted({line.area_id for line in lines if line is not None})

    @property
    def weeks(self) -> float:
        return (self.last_day - self.first_day + 1) / 7.0


def tree_of_world(world: World) -> AreaTree:
    """Prefecture, counties, townships; townships of a county border on each other in a ring."""
    areas: list[tuple[str, str | None, str, str]] = [(PREFECTURE_ID, None, "prefecture", ZONE)]
    areas += [
        (world.county_id(number), PREFECTURE_ID, "county", ZONE)
        for number in range(world.extent.counties)
    ]
    townships = range(world.extent.townships)
    areas += [
        (world.township_id(one), world.county_id(int(world.county[one])), "township", ZONE)
        for one in townships
    ]
    pairs = [(world.township_id(one), world.township_id(world.neighbour(one))) for one in townships]
    return AreaTree.of(areas, pairs)


def table_of(city: City) -> SeriesTable:
    """One row per site and syndrome; known outbreaks of the past are judged and not learnt from."""
    world = city.world
    counties = world.extent.counties
    above: list[tuple[str, str | None]] = [(PREFECTURE_ID, None)]
    above += [(world.county_id(one), PREFECTURE_ID) for one in range(counties)]
    above += [
        (world.township_id(one), world.county_id(int(world.county[one])))
        for one in range(world.extent.townships)
    ]
    count = len(syndromes())
    area = np.repeat(1 + counties + world.site_township, count)
    kind = (world.site_kind[:, None] * count + np.arange(count)).ravel()
    opens, closes = np.repeat(world.opens, count), np.repeat(world.closes, count)
    speaks = np.repeat(world.speaks, count, axis=0)
    days = world.extent.days
    final = city.counts.final.reshape(-1, days)
    early = city.counts.early.reshape(-1, days)
    return SeriesTable(
        first_day=world.first,
        tree=tree_of(above),
        kinds=tuple((name, syndrome) for name in KINDS for syndrome in syndromes()),
        sites=Sites(area, kind, opens, closes),
        counts=DayCounts(final, final, speaks),
        judged=DayCounts(early, early, speaks),
        judged_age=city.counts.age,
        left_out=_left_out(city),
    )


def _left_out(city: City) -> BoolArray:
    world = city.world
    marked = np.zeros((len(world.site_kind), len(syndromes()), world.extent.days), dtype=np.bool_)
    for one in city.outbreaks:
        if one.known:
            sites = np.isin(world.site_township, one.townships)
            code = syndromes().index(one.syndrome)
            marked[sites, code, one.first_day : one.last_day + parameters()["tail_days"] + 1] = True
    return marked.reshape(-1, world.extent.days)


def policy_of_city() -> Detection:
    """The shipped policy with the city's points and syndromes."""
    document = DetectionDocument.model_validate(
        yaml.safe_load(PRESET.read_text(encoding="utf-8"))["document"]
    )
    kinds = {
        name: KindPolicy("sites", syndromes(), school=name in SCHOOLS, cases=3, days=3)
        for name in KINDS
    }
    return replace(document.detection("detection@1, city"), kinds=kinds)


def calendar_of_city() -> Calendar:
    content = parameters()["calendar"]
    off = days_between(content["days_off"])
    return Calendar(
        off=off,
        working=frozenset(content["working"]),
        new_years=tuple(content["new_years"]),
        vacations=tuple(Term(first, last) for first, last in content["vacations"]),
        years=frozenset(day.year for day in off),
    )


def delays_of(city: City) -> Delays:
    """The share that is known at the judged age, learnt before the judged days."""
    until = city.world.extent.history_days
    kinds = city.world.site_kind
    known = []
    for kind in range(len(KINDS)):
        mine = kinds == kind
        final = city.counts.final[mine, :, :until].sum(axis=(0, 2))
        early = city.counts.early[mine, :, :until].sum(axis=(0, 2))
        known += (early / np.maximum(final, 1)).tolist()
    ages = city.counts.age + 1
    columns = [np.array(known)] * ages + [np.ones(len(known))]
    return Delays(np.stack(columns, axis=1))


def judged_days(city: City, before: int = NULL_DAYS) -> Judged:
    """The scored days and so many `before` them."""
    extent = city.world.extent
    first = max(extent.history_days - before, 1)
    days = range(first, extent.days)
    return judge_days(
        table_of(city), policy_of_city(), calendar_of_city(), days, delays=delays_of(city)
    )


def trial_of(
    city: City,
    judged: Judged | None = None,
    *,
    levels: frozenset[str] = frozenset({"township", "county"}),
    with_events: bool = True,
) -> Trial:
    """`levels`: of which areas the series are held ready. `with_events`: single facts as well;
    rules on excess alone do without them."""
    world, tree = city.world, tree_of_world(city.world)
    judged = judged or judged_days(city)
    lists = (
        KINDS,
        [str(number) for number in range(len(world.site_kind))],
        [world.township_id(number) for number in range(world.extent.townships)],
    )
    facts = city.facts if with_events else city.facts[:0]
    events = events_of(city, facts)
    first = world.first.toordinal() + world.extent.history_days
    return Trial(
        name=f"generated city, seed {city.seed}",
        city=city_log(events, lists, excesses_of(judged, tree, levels), tree),
        tree=tree,
        first_day=first,
        last_day=world.first.toordinal() + world.extent.days - 1 - city.counts.age,
        age=city.counts.age,
        truths=tuple(truth for one in city.outbreaks if (truth := truth_of(city, one, first))),
    )


def truth_of(city: City, outbreak: Outbreak, first: int) -> Truth | None:
    """Those that begin within the scored days."""
    world = city.world
    begins = world.first.toordinal() + outbreak.first_day
    if begins < first:
        return None
    towns = [world.township_id(one) for one in outbreak.townships]
    counties = [world.county_id(int(world.county[one])) for one in outbreak.townships]
    return Truth(
        number=outbreak.number,
        disease=outbreak.disease,
        syndrome=outbreak.syndrome,
        areas=frozenset((*towns, *counties, PREFECTURE_ID)),
        first_day=begins,
        last_day=world.first.toordinal() + outbreak.last_day + parameters()["tail_days"],
        size=outbreak.size,
    )


def excesses_of(judged: Judged, tree: AreaTree, of_levels: frozenset[str]) -> list[Excess]:
    """Every judged day of these levels, quiet ones too: consensus looks at them."""
    keys = judged.table.keys()
    levels = np.array([tree.lines[area_id].level for area_id, _, _ in keys])
    wanted = np.isin(levels, sorted(of_levels))
    return judged.excesses(np.broadcast_to(wanted[:, None], judged.observed.shape).copy())


def events_of(city: City, facts: Facts) -> EventArrays:
    """Facts as they stand once all corrections have come: a signal is a record's last version."""
    facts = np.sort(facts, order=["record", "version"])
    facts = facts[np.diff(facts["record"], append=-1) != 0]
    facts = facts[facts["syndrome"] >= 0]
    persons, person = _numbered(facts["person"])
    households, household = _numbered(facts["household"])
    began = datetime.combine(city.world.first, datetime.min.time(), UTC) - ZONE_AHEAD
    start = int(began.timestamp() * 1_000_000)
    area = facts["township"].astype(np.int32)
    seed = city.seed
    return EventArrays(
        at=start + (facts["at"] * 86_400_000_000).astype(np.int64),
        kind=facts["kind"].astype(np.int32),
        point=facts["site"].astype(np.int32),
        area=area,
        home=area,
        person=person,
        household=household,
        persons=np.ones(len(facts), dtype=np.int64),
        ids=lambda place: derived_id("city signal", seed, int(facts["record"][place])),
        person_ids=partial(_identity, "city person", seed, persons),
        household_ids=partial(_identity, "city household", seed, households),
    )


def _numbered(values: IntArray) -> tuple[IntArray, IntArray]:
    """Dense numbers from 0, -1 for nobody."""
    known, place = np.unique(values, return_inverse=True)
    shift = int(len(known) > 0 and known[0] < 0)
    return known[shift:], (place - shift).astype(np.int64)


def _identity(word: str, seed: int, known: IntArray, number: int) -> UUID:
    return derived_id(word, seed, int(known[number]))
