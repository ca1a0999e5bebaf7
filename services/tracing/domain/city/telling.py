"""The meetings behind a page of an answer: reasons, and the rows that are their evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from services.tracing.domain.city import kernels
from services.tracing.domain.city.question import (
    Channel,
    Found,
    Linked,
    Sources,
    channels,
    encounters_that_count,
)
from services.tracing.domain.city.times import NEVER, instant
from shared.events.tracing import Reason

Array = NDArray[Any]


class Stay(NamedTuple):
    """How a row of the tables is known again: person, place or group, arrival, departure."""

    person_id: UUID
    place_id: UUID
    arrived_at: datetime
    left_at: datetime | None


class Met(NamedTuple):
    """An encounter or a dated link of a pair, by its instant."""

    person_id: UUID
    other_id: UUID
    at: datetime


@dataclass(slots=True)
class Told:
    """One exposed person as the answer tells it; evidence is looked up by stays and meetings."""

    person_id: UUID
    via_person_id: UUID
    first_at: datetime
    last_at: datetime
    reasons: list[Reason]
    stays: dict[str, set[Stay]]
    meetings: dict[str, set[Met]]


@dataclass(slots=True)
class _Sum:
    """The meetings of one person by one code at one place."""

    first: int
    last: int
    micros: int = 0

    def add(self, began: int, ended: int) -> None:
        self.first, self.last = min(self.first, began), max(self.last, ended)
        self.micros += ended - began


class _Teller:
    """Collects what each person of the page has to be told."""

    def __init__(self, found: Found, rows: Array) -> None:
        self._found, self._city = found, found.city
        self.rows = rows
        self._sums: dict[int, dict[tuple[str, UUID | None, str | None], _Sum]] = {}
        self._stays: dict[int, dict[str, set[Stay]]] = {}
        self._meetings: dict[int, dict[str, set[Met]]] = {}
        persons = max(self._city.persons, self._city.ids.persons.count)
        self.via = np.full(persons, -1, dtype=np.int32)
        self.via[found.person[rows]] = found.via[rows]

    def visit(self, channel: Channel, met: tuple[int, ...], block: Any) -> None:
        own, row, other, began, ended = met
        places = self._city.ids.places if channel.code == "visit" else self._city.ids.groups
        kinds = self._city.kind_of_place if channel.code == "visit" else self._city.kind_of_group
        place = int(channel.own[0][own])
        place_id, kind = places.id_of(place), self._city.ids.kinds[kinds[place]]
        self._add(other, (channel.code, place_id, kind or None), began, ended)
        persons = self._city.ids.persons
        kept = self._stays.setdefault(other, {}).setdefault(channel.code, set())
        kept.add(
            Stay(
                persons.id_of(channel.own[3][own]), place_id,
                instant(channel.own_arrived[own]), _left(channel.own_left[own]),
            )
        )  # fmt: skip
        kept.add(
            Stay(
                persons.id_of(other), place_id, instant(block.arrived[row]), _left(block.left[row])
            )
        )

    def pair(self, code: str, source: int, other: int, began: int, ended: int) -> None:
        self._add(other, (code, None, None), began, ended)
        persons = self._city.ids.persons
        met = Met(persons.id_of(source), persons.id_of(other), instant(began))
        self._meetings.setdefault(other, {}).setdefault(code, set()).add(met)

    def _add(
        self, other: int, key: tuple[str, UUID | None, str | None], began: int, ended: int
    ) -> None:
        sums = self._sums.setdefault(other, {})
        sums.setdefault(key, _Sum(began, ended)).add(began, ended)

    def told(self, row: int) -> Told:
        found, persons = self._found, self._city.ids.persons
        number = int(found.person[row])
        sums = self._sums.get(number, {})
        return Told(
            persons.id_of(number),
            persons.id_of(found.via[row]),
            instant(found.first_at[row]),
            instant(found.last_at[row]),
            [
                Reason(
                    code=code,  # type: ignore[arg-type]  # one of the four channels
                    place_id=place_id,
                    place_kind=kind,
                    minutes=round(one.micros / 60_000_000, 3),
                    first_at=instant(one.first),
                    last_at=instant(one.last),
                )
                for (code, place_id, kind), one in sorted(sums.items(), key=_reason_order)
            ],
            self._stays.get(number, {}),
            self._meetings.get(number, {}),
        )


def _reason_order(item: tuple[tuple[str, UUID | None, str | None], _Sum]) -> tuple[Any, ...]:
    code, place_id, kind = item[0]
    return code, place_id is None, place_id or 0, kind or ""


def tell_page(found: Found, rows: Array) -> list[Told]:
    """What is behind these rows of the answer."""
    teller = _Teller(found, rows)
    sources = found.sources.of(set(found.via[rows].tolist()))
    for channel in channels(found.city, sources, found.figures):
        for block in channel.blocks:
            for met in _single_meetings(channel, block, teller.via):
                teller.visit(channel, met, block)
    _tell_pairs(found, sources, teller)
    return [teller.told(int(row)) for row in rows]


def _single_meetings(channel: Channel, block: Any, via: Array) -> Sequence[tuple[int, ...]]:
    size = 4096
    while True:
        out = (
            np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32),
            np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int64),
            np.empty(size, dtype=np.int64),
        )  # fmt: skip
        span = (block.first_at, block.last_at)
        count = int(kernels.tell(channel.own, block.by_place, span, channel.rule, via, out))
        if count <= size:
            return list(zip(*(column[:count].tolist() for column in out), strict=True))
        size = count


def _tell_pairs(found: Found, sources: Sources, teller: _Teller) -> None:
    near = encounters_that_count(found.city, sources, found.figures)
    for index in range(len(near.other)):
        source, other = int(sources.person[near.source[index]]), int(near.other[index])
        if teller.via[other] == source:
            began = int(near.started[index])
            teller.pair("encounter", source, other, began, began + int(near.seconds[index]) * 10**6)
    links: Linked = found.links
    for index in range(len(links.person)):
        source, other, at = (int(column[index]) for column in (links.person, links.other, links.at))
        if other == source or teller.via[other] != source:
            continue
        times = zip(sources.person, sources.from_at, sources.until_at, strict=True)
        for _ in (1 for who, since, until in times if who == source and since <= at < until):
            teller.pair("link", source, other, at, at)


def _left(left: int) -> datetime | None:
    return None if int(left) == NEVER else instant(left)
