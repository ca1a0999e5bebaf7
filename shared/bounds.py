"""What every JSON door takes: days that can be reckoned with, text that can be kept."""

from __future__ import annotations

from datetime import date
from typing import Annotated, TypeVar

from pydantic import AfterValidator, AwareDatetime

Day = TypeVar("Day", bound=date)


def check_year(day: Day) -> Day:
    """Beyond these years an offset or a policy's days cannot be added, and nobody means them."""
    if not 1900 <= day.year <= 2200:
        raise ValueError("a year from 1900 to 2200")
    return day


def check_text(text: str) -> str:
    """PostgreSQL keeps no NUL."""
    if "\x00" in text:
        raise ValueError("text without NUL")
    return text


Moment = Annotated[AwareDatetime, AfterValidator(check_year)]
CalendarDay = Annotated[date, AfterValidator(check_year)]
PlainText = Annotated[str, AfterValidator(check_text)]
