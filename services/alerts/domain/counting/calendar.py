"""Which kind of day a day is: weekday, day off, make-up working day, lunar new year, vacation.

The days are data (`presets/calendar_*.yaml`, from the notices of the State Council); here is only
what they mean for a count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from functools import cached_property

import numpy as np

from services.alerts.domain.detection.verdict import IntArray

# A return to work is one after at least so many days off running.
DAYS_OFF_LEAST = 3
NEW_YEAR_BEFORE, NEW_YEAR_AFTER = 1, 6
ONE_DAY = timedelta(days=1)


class DayType(IntEnum):
    """0 to 6 are ordinary weekdays from Monday on."""

    SATURDAY = 5
    SUNDAY = 6
    MAKE_UP = 7  # a Saturday or Sunday on which people work
    DAY_OFF = 8  # by notice, weekends within it included
    NEW_YEAR = 9  # lunar new year: from its eve to the sixth day after
    RETURN = 10  # the first working day after days off
    VACATION = 11  # for what follows the school


DAY_TYPES = len(DayType) + 5


@dataclass(frozen=True, slots=True)
class Term:
    """Days without school, both ends included."""

    first: date
    last: date


@dataclass(frozen=True)
class Calendar:
    """`off`: days off by notice; `working`: weekend days that are worked; `new_years`: first days
    of the lunar year; `vacations`: of the schools; `years`: for which the data is complete.

    A day outside of `years` is an ordinary weekday: nobody knows better.
    """

    off: frozenset[date]
    working: frozenset[date]
    new_years: tuple[date, ...]
    vacations: tuple[Term, ...]
    years: frozenset[int]

    def type_of(self, day: date, *, school: bool) -> int:
        """The weekday or a `DayType`."""
        if school and any(term.first <= day <= term.last for term in self.vacations):
            return int(DayType.VACATION)
        if day in self._new_year_days:
            return int(DayType.NEW_YEAR)
        if day in self.off:
            return int(DayType.DAY_OFF)
        if day in self.working:
            return int(DayType.MAKE_UP)
        if self._is_return(day):
            return int(DayType.RETURN)
        return day.weekday()

    def types(self, first: date, count: int, *, school: bool) -> IntArray:
        """(days,) from `first` on."""
        days = (first + timedelta(days=number) for number in range(count))
        return np.array([self.type_of(day, school=school) for day in days], dtype=np.int64)

    @cached_property
    def _new_year_days(self) -> frozenset[date]:
        return frozenset(
            new_year + timedelta(days=step)
            for new_year in self.new_years
            for step in range(-NEW_YEAR_BEFORE, NEW_YEAR_AFTER + 1)
        )

    def _is_return(self, day: date) -> bool:
        """Worked after days off by notice: a common Monday is none."""
        if day.weekday() >= DayType.SATURDAY or day - ONE_DAY not in self.off | self._weekend(day):
            return False
        run, named = 0, False
        before = day - ONE_DAY
        while before in self.off or (before.weekday() >= 5 and before not in self.working):
            run, named = run + 1, named or before in self.off
            before -= ONE_DAY
        return named and run >= DAYS_OFF_LEAST

    def _weekend(self, day: date) -> frozenset[date]:
        before = day - ONE_DAY
        return frozenset({before} if before.weekday() >= DayType.SATURDAY else ())


NO_CALENDAR = Calendar(frozenset(), frozenset(), (), (), frozenset())


def whole_years(years: Sequence[int]) -> frozenset[int]:
    return frozenset(years)
