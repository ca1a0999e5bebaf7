"""A case and the people it exposed, as the page shows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

DEGREES = ("close_contact", "contact_of_contact")
# So many rows stand on one page of a list.
ROWS_MOST = 20
CASES_MOST = 50
# A person of a household may rest on hundreds of measured encounters: nobody reads them all here.
EVIDENCE_MOST = 40
CHIPS_MOST = 6


@dataclass(frozen=True, slots=True)
class Window:
    """From (inclusive) to until (exclusive), counted from `day`, which is a `basis`."""

    from_at: datetime
    until_at: datetime
    basis: str
    day: str


@dataclass(frozen=True, slots=True)
class Act:
    """What a person decided about the case."""

    action: str
    author: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """A case with its explanation; `decided` counts the standing contacts by degree."""

    id: str
    version: int
    person_id: str
    disease: str
    classification: str
    standing: bool
    onset: str
    occurred_at: datetime
    window: Window | None
    area_id: str | None
    reason: str
    policy: str
    exercise: bool
    evidence: int
    acts: tuple[Act, ...]
    decided: Mapping[str, int]

    @property
    def discarded_by(self) -> str:
        """Who said that this was no case, if it fell by that."""
        name = self.reason.removeprefix("discarded by ")
        return name if name != self.reason and not self.standing else ""

    @property
    def reason_parts(self) -> Sequence[tuple[str, str]]:
        """The reason as codes that have a word in each language, each with what follows it."""
        parts = (part.partition(" (") for part in re.split(r"[,;] ", self.reason) if part)
        return [(code, f"{bracket}{rest}") for code, bracket, rest in parts]


@dataclass(frozen=True, slots=True)
class Met:
    """One reason: what kind of meeting, where, for how long."""

    code: str
    place_id: str | None
    place_kind: str
    minutes: float
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Chip:
    """Meetings of one kind, as short as they can be told; `minutes` is empty where a length says
    nothing."""

    code: str
    kind: str
    minutes: str
    times: int


@dataclass(frozen=True, slots=True)
class Record:
    """What a meeting rests on."""

    kind: str
    id: str
    version: int


@dataclass(frozen=True, slots=True)
class Exposure:
    """One exposed person; reasons and evidence are of this person and `via_id`."""

    person_id: str
    via_id: str
    first_at: datetime
    last_at: datetime
    minutes: float
    reasons: tuple[Met, ...]
    evidence: tuple[Record, ...]

    @property
    def chips(self) -> Sequence[Chip]:
        return chips_of(self.reasons)

    @property
    def whole_minutes(self) -> str:
        return whole(self.minutes)


@dataclass(frozen=True, slots=True)
class Exposures:
    """A page of exposed persons, and what the answer rests on."""

    engine: str
    rules: str
    from_at: datetime
    until_at: datetime
    total: int
    pairs: int
    close_contacts: int
    rows: tuple[Exposure, ...]


def chips_of(reasons: Iterable[Met]) -> Sequence[Chip]:
    """One chip for each kind of meeting, in order of the first one."""
    kinds: dict[tuple[str, str], list[Met]] = {}
    for one in reasons:
        kinds.setdefault((one.code, one.place_kind), []).append(one)
    ordered = sorted(kinds, key=lambda kind: min(one.first_at for one in kinds[kind]))
    return [
        Chip(
            code=code,
            kind=kind,
            # Who lives together is told by that; the hours of it are no news.
            minutes=whole(sum(one.minutes for one in kinds[code, kind]))
            if code in ("visit", "encounter")
            else "",
            times=len(kinds[code, kind]),
        )
        for code, kind in ordered
    ]


def whole(minutes: float) -> str:
    """`19`, `1,240`; `<1` for less than half of one."""
    return "<1" if 0 < minutes < 0.5 else f"{minutes:,.0f}"


def days_of(rows: Iterable[Exposure], zone: tzinfo) -> list[date]:
    """The day of each first exposure, in the case's zone."""
    return [one.first_at.astimezone(zone).date() for one in rows]
