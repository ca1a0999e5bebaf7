"""HL7 dates and times: `YYYY[MM[DD[HH[MM[SS[.S…]]]]]][±ZZZZ]` (v2.5.1, 2.A.22 DTM)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Literal

Precision = Literal["none", "year", "month", "day", "hour", "minute", "second"]

_FORMAT = re.compile(r"([0-9]+)(?:\.([0-9]+))?(?:([+-])([0-9]+))?")
_PRECISIONS: dict[int, Precision] = {
    4: "year",
    6: "month",
    8: "day",
    10: "hour",
    12: "minute",
    14: "second",
}
# A date outside these years is a typing error, not a birth or a visit.
_FIRST_YEAR, _LAST_YEAR = 1850, 2200


@dataclass(frozen=True, slots=True)
class ParsedTime:
    """What a time field says.

    `at`: the instant in UTC, the start of the period when coarser; None if unreadable.
    `local_date`: the calendar day as written, None when coarser than a day: a date stays a date.
    `zone_assumed`: a time of day came without a (readable) offset and the source's zone was used.
    `problem`: "" or a finding code (time_unreadable, time_impossible, time_overlong,
    offset_unreadable).
    """

    at: datetime | None = None
    local_date: date | None = None
    precision: Precision = "none"
    zone_assumed: bool = False
    problem: str = ""


NO_TIME = ParsedTime()


def parse_time(text: str, zone: tzinfo) -> ParsedTime:
    """Reads a TS, DTM or DT value; `zone` is the source's default. Never raises.

    Digits beyond the seconds are cut off with `time_overlong`; a length that fits no precision
    (196203520) is unreadable, because nobody can tell which digit is too many.
    """
    text = text.strip()
    if not text:
        return NO_TIME
    match = _FORMAT.fullmatch(text)
    if match is None:
        return ParsedTime(problem="time_unreadable")
    digits, fraction, sign, offset = match.groups()
    problem = ""
    if len(digits) > 14:
        digits, problem = digits[:14], "time_overlong"
    precision = _PRECISIONS.get(len(digits))
    if precision is None:
        return ParsedTime(problem="time_unreadable")
    written = _read_digits(digits, fraction)
    if written is None:
        return ParsedTime(problem="time_impossible")
    own_zone = _read_offset(sign, offset) if sign else None
    if sign and own_zone is None:
        problem = problem or "offset_unreadable"
    at = written.replace(tzinfo=own_zone or zone).astimezone(UTC)
    is_day = precision not in ("year", "month")
    has_clock = precision in ("hour", "minute", "second")
    return ParsedTime(
        at=at,
        local_date=written.date() if is_day else None,
        precision=precision,
        zone_assumed=own_zone is None and has_clock,
        problem=problem,
    )


def _read_digits(digits: str, fraction: str | None) -> datetime | None:
    year, month, day = int(digits[:4]), int(digits[4:6] or 1), int(digits[6:8] or 1)
    hour, minute = int(digits[8:10] or 0), int(digits[10:12] or 0)
    second = int(digits[12:14] or 0)
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    try:
        return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC)
    except ValueError:
        return None


def _read_offset(sign: str, digits: str) -> timezone | None:
    """Offsets run from -12:00 to +14:00."""
    if len(digits) != 4 or int(digits[2:]) > 59:
        return None
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    if minutes > 14 * 60:
        return None
    return timezone(timedelta(minutes=-minutes if sign == "-" else minutes))
