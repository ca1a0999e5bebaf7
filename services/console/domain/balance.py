"""Counters that must add up: received = stored + duplicate + rejected, per source and day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

# Older days are shown only where something is wrong with them.
DAYS_SHOWN = 2
LINES_MOST = 60


@dataclass(frozen=True, slots=True)
class Counts:
    """What one source sent on one day through one door, as told and as really kept.

    `kept` and `refused` count the rows that exist; None where the owner does not tell.
    """

    source_id: str | None
    source: str
    day: date
    door: str
    received: int
    stored: int
    duplicate: int
    rejected: int
    kept: int | None = None
    refused: int | None = None

    @property
    def adds_up(self) -> bool:
        return (
            self.received == self.stored + self.duplicate + self.rejected
            and self.kept in (None, self.stored)
            and self.refused in (None, self.rejected)
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One source on one day, over all its doors: it adds up when every door does."""

    source_id: str | None
    source: str
    day: date
    received: int
    stored: int
    duplicate: int
    rejected: int
    adds_up: bool


@dataclass(frozen=True, slots=True)
class Balance:
    """Lines to show, newest day first; `adds_up` speaks for all days, shown or not."""

    lines: tuple[Line, ...]
    hidden: int
    adds_up: bool
    received: int


def balance_of(counts: Iterable[Counts]) -> Balance:
    """All wrong lines and those of the last days, at most `LINES_MOST`, wrong ones first of all."""
    groups: dict[tuple[date, str | None], list[Counts]] = {}
    for one in counts:
        groups.setdefault((one.day, one.source_id), []).append(one)
    lines = [_sum(group) for group in groups.values()]
    days = sorted({line.day for line in lines}, reverse=True)[:DAYS_SHOWN]
    shown = [line for line in lines if line.day in days or not line.adds_up]
    shown.sort(key=lambda line: (line.adds_up, -line.day.toordinal(), line.source))
    return Balance(
        lines=tuple(shown[:LINES_MOST]),
        hidden=len(lines) - len(shown[:LINES_MOST]),
        adds_up=all(line.adds_up for line in lines),
        received=sum(line.received for line in lines if days and line.day == days[0]),
    )


def _sum(group: Sequence[Counts]) -> Line:
    first = group[0]
    return Line(
        source_id=first.source_id,
        source=first.source,
        day=first.day,
        received=sum(one.received for one in group),
        stored=sum(one.stored for one in group),
        duplicate=sum(one.duplicate for one in group),
        rejected=sum(one.rejected for one in group),
        adds_up=all(one.adds_up for one in group),
    )
