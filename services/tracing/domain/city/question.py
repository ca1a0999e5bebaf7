"""The one question: who was exposed to these sources in their times. One case, a thousand cases and
the second degree ask it alike; page, reasons and evidence come from what it found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from services.tracing.domain.city import kernels, meeting
from services.tracing.domain.city.block import Block
from services.tracing.domain.city.city import City
from services.tracing.domain.city.numbers import ids_of
from services.tracing.domain.city.times import NEVER, micros
from services.tracing.domain.exposure import ExposureRule, Source, StayRule

Array = NDArray[Any]
Columns = tuple[Array, ...]


@dataclass(frozen=True, slots=True)
class Sources:
    """Numbers of persons and their times; the same person may come more than once."""

    person: Array
    from_at: Array
    until_at: Array

    def __len__(self) -> int:
        return len(self.person)

    @property
    def columns(self) -> tuple[Array, Array, Array]:
        return self.person, self.from_at, self.until_at

    def of(self, persons: Collection[int]) -> Sources:
        """Only those of these persons."""
        chosen = np.isin(self.person, np.fromiter(persons, dtype=np.int32))
        return Sources(self.person[chosen], self.from_at[chosen], self.until_at[chosen])


@dataclass(frozen=True, slots=True)
class Linked:
    """Dated links from sources, as they stand in the table: numbers and times."""

    person: Array
    other: Array
    at: Array


def no_links() -> Linked:
    small = np.empty(0, dtype=np.int32)
    return Linked(small, small, np.empty(0, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Figures:
    """A rule's figures by number of kind, in microseconds."""

    place_minimum: Array
    place_dwell: Array
    group_minimum: Array
    encounter_seconds: float

    @property
    def endless(self) -> Array:
        """A membership without an end lasts for ever."""
        return np.full(len(self.group_minimum), NEVER, dtype=np.int64)


def figures_of(rule: ExposureRule, kinds: Sequence[str]) -> Figures:
    def place(kind: str) -> StayRule:
        return rule.place_kinds.get(kind, rule.other_places)

    def group(kind: str) -> int:
        found = rule.group_kinds.get(kind, rule.other_groups)
        return _micros(found.minimum_seconds) if found is not None else NEVER

    # One kind at least: an array without any cannot be looked into, even by nobody.
    named = list(kinds) or [""]
    return Figures(
        np.array([_micros(place(kind).minimum_seconds) for kind in named], dtype=np.int64),
        np.array([_micros(place(kind).dwell_seconds) for kind in named], dtype=np.int64),
        np.array([group(kind) for kind in named], dtype=np.int64),
        rule.encounter_seconds,
    )


def longest_dwell(rule: ExposureRule) -> int:
    """Microseconds that a stay without a departure can last by this rule."""
    dwells = [stay.dwell_seconds for stay in rule.place_kinds.values()]
    return _micros(max([rule.other_places.dwell_seconds, *dwells]))


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


class Accumulators:
    """First and last time, source, and who was touched; handed out clean, one set to a question."""

    def __init__(self) -> None:
        self._spare: list[Columns] = []

    def take(self, persons: int) -> Columns:
        try:
            while len((found := self._spare.pop())[0]) < persons:
                pass
        except IndexError:  # none is left, or another thread was quicker
            size = persons + persons // 16 + 16
            first, last = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
            found = first, last, np.full(size, -1, dtype=np.int32), np.empty(size, dtype=np.int32)
        return found

    def give_back(self, found: Columns) -> None:
        if len(self._spare) < 2:
            self._spare.append(found)


ACCUMULATORS = Accumulators()


@dataclass(frozen=True, slots=True)
class Found:
    """Everybody who was exposed, in no order: numbers, first and last exposure, first source."""

    city: City
    sources: Sources
    figures: Figures
    links: Linked
    person: Array
    first_at: Array
    last_at: Array
    via: Array
    # Meetings that count, and rows that were looked at for them.
    pairs: int
    looked: int

    def __len__(self) -> int:
        return len(self.person)

    def in_order(self, offset: int, size: int) -> Array:
        """Rows of a page in order of first exposure, then id. Only the page is sorted."""
        end = min(offset + size, len(self))
        if offset >= end:
            return np.empty(0, dtype=np.int64)
        candidates = np.arange(len(self))
        if end < len(self):
            last = np.partition(self.first_at, end - 1)[end - 1]
            candidates = np.flatnonzero(self.first_at <= last)
        numbers = self.city.ids.persons
        who = self.person[candidates]
        order = np.lexsort((numbers.low[who], numbers.high[who], self.first_at[candidates]))
        page: Array = candidates[order[offset:end]]
        return page


def ask(
    city: City,
    sources: Sources,
    rule: ExposureRule,
    *,
    leave_out: Array | None = None,
    links: Linked | None = None,
) -> Found:
    """Everybody exposed to these sources by this rule, numbers of `leave_out` left out. Its loops
    run without the GIL: call it in a thread."""
    figures = figures_of(rule, city.ids.kinds)
    links = links or no_links()
    persons = max(city.persons, city.ids.persons.count)
    accumulators = ACCUMULATORS.take(persons)
    numbers = city.ids.persons
    found = (*accumulators, numbers.high, numbers.low)
    count = pairs = looked = 0
    for channel in channels(city, sources, figures):
        own = _by_place(channel.own, len(channel.rule[0]))
        for block in channel.blocks:
            span = (block.first_at, block.last_at)
            met = meeting.meet(own, block.by_place, span, channel.rule, found, count)
            count, pairs, looked = met[0], pairs + met[1], looked + met[2]
    near = encounters_that_count(city, sources, figures)
    for meetings in (_as_meetings(near, sources), _linked(links, sources)):
        count = meeting.note_all(meetings, found, count)
        pairs += len(meetings[0])
    nobody = np.empty(0, dtype=np.int32)
    left_out = nobody if leave_out is None else leave_out.astype(np.int32)
    person, first_at, last_at, via = meeting.take_out(found, count, left_out)
    ACCUMULATORS.give_back(accumulators)
    return Found(
        city, sources, figures, links, person, first_at, last_at, via, int(pairs), int(looked)
    )


@dataclass(frozen=True, slots=True)
class Channel:
    """Stays at places, or memberships of groups: the same loop with other figures."""

    code: Literal["visit", "membership"]
    own: Columns
    # Of each own stay: its arrival and departure as they stand in the table.
    own_arrived: Array
    own_left: Array
    blocks: tuple[Block, ...]
    rule: Columns


def channels(city: City, sources: Sources, figures: Figures) -> Iterator[Channel]:
    """The sources' own stays and memberships, with the blocks to hold them against."""
    if not len(sources):
        return
    minimum, dwell = figures.place_minimum, figures.place_dwell
    since, until = int(sources.from_at.min()), int(sources.until_at.max())
    longest = int(dwell.max())
    blocks = tuple(block for block in city.blocks(until) if block.reaches(since, longest))
    own = [_own(block, sources, (city.kind_of_place, minimum, dwell)) for block in blocks]
    if own:
        columns = tuple(np.concatenate(parts) for parts in zip(*own, strict=True))
        rule = (city.kind_of_place, city.reach, minimum, dwell)
        yield Channel("visit", columns[:4], columns[4], columns[5], blocks, rule)
    if len(city.groups):
        minimum, dwell = figures.group_minimum, figures.endless
        groups = tuple(city.groups)
        own = [_own(block, sources, (city.kind_of_group, minimum, dwell)) for block in groups]
        columns = tuple(np.concatenate(parts) for parts in zip(*own, strict=True))
        reach = np.full(len(city.kind_of_group), NEVER, dtype=np.int64)
        rule = (city.kind_of_group, reach, minimum, dwell)
        yield Channel("membership", columns[:4], columns[4], columns[5], groups, rule)


def _by_place(own: Columns, places: int) -> Columns:
    """Own stays in the order of place and from: the places, where each begins, and the stays."""
    place, since, until, person = own
    by_time = np.argsort(since).astype(np.int32)
    order = kernels.ordered_by(place, by_time, kernels.starts(place, places))
    place = place[order]
    start = np.flatnonzero(np.diff(place, prepend=-1))
    end = np.append(start, len(place))
    return place[start], end, since[order], until[order], person[order]


def _own(block: Block, sources: Sources, rule: tuple[Array, Array, Array]) -> Columns:
    size = 64 * len(sources) + 64
    while True:
        out = (
            np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int64),
            np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int32),
            np.empty(size, dtype=np.int32),
        )  # fmt: skip
        count = int(kernels.own_stays(block.by_person, sources.columns, rule, out))
        if count <= size:
            break
        size = count
    place, began, ended, source, row = (column[:count] for column in out)
    return place, began, ended, sources.person[source], block.arrived[row], block.left[row]


@dataclass(frozen=True, slots=True)
class Near:
    """Encounters of sources: number of the source's row, other person, start, seconds."""

    source: Array
    other: Array
    started: Array
    seconds: Array


def encounters_that_count(city: City, sources: Sources, figures: Figures) -> Near:
    """Those that lie in 24 hours which add up to enough, over all days."""
    parts = [
        _own_encounters(block.by_person, sources)
        for block in city.encounters.values()
        if len(block) and len(sources)
    ]
    if not parts:
        small, large = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
        return Near(small, small, large, large)
    source, other, started, seconds = (
        np.concatenate(columns) for columns in zip(*parts, strict=True)
    )
    order = np.lexsort((started, other, source))
    source, other, started, seconds = (
        column[order] for column in (source, other, started, seconds)
    )
    counts = kernels.in_a_sum(source, other, started, seconds, figures.encounter_seconds)
    return Near(source[counts], other[counts], started[counts], seconds[counts])


def _own_encounters(block: tuple[Array, Array, Array, Array], sources: Sources) -> Columns:
    size = 64 * len(sources) + 64
    while True:
        out = (
            np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32),
            np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64),
        )  # fmt: skip
        count = int(kernels.own_encounters(block, sources.columns, out))
        if count <= size:
            return tuple(column[:count] for column in out)
        size = count


def _as_meetings(near: Near, sources: Sources) -> Columns:
    ended = near.started + near.seconds * 1_000_000
    return near.other, near.started, ended, sources.person[near.source]


def _linked(links: Linked, sources: Sources) -> Columns:
    """A link counts once for each of its source's times that its date lies in."""
    if not len(links.person) or not len(sources):
        small, large = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
        return small, large, large, small
    by_person = np.argsort(sources.person, kind="stable")
    persons = sources.person[by_person]
    low = np.searchsorted(persons, links.person, side="left")
    counts = np.searchsorted(persons, links.person, side="right") - low
    # One row for each link and each of its person's times, however many of either there are.
    link = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(link)) - np.repeat(np.cumsum(counts) - counts, counts)
    source = by_person[np.repeat(low, counts) + within]
    counted = (
        (links.at[link] >= sources.from_at[source])
        & (links.at[link] < sources.until_at[source])
        & (links.other[link] != links.person[link])
    )
    link, source = link[counted], source[counted]
    at = links.at[link]
    return links.other[link], at, at, sources.person[source]


def sources_of(city: City, sources: Sequence[Source]) -> Sources:
    """Sources by number. It may give numbers to persons without any stay: call it on the loop."""
    return Sources(
        city.ids.persons.add(ids_of([source.person_id for source in sources])),
        np.array([micros(source.from_at) for source in sources], dtype=np.int64),
        np.array([micros(source.until_at) for source in sources], dtype=np.int64),
    )
