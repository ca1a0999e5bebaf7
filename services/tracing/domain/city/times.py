"""Instants as whole microseconds since 1970 UTC, the precision of the tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A stay whose end nobody saw, and a time that never comes.
NEVER = 2**63 - 1
DAY = 86_400_000_000
# Segments are cut at midnight in China. Where exactly does not matter to any answer.
SEGMENT_OFFSET = 8 * 3_600_000_000


def micros(at: datetime) -> int:
    since = at - EPOCH
    return since.days * DAY + since.seconds * 1_000_000 + since.microseconds


def instant(at: int) -> datetime:
    return EPOCH + timedelta(microseconds=int(at))


def segment_day(at: int) -> int:
    """The number of the day in whose segment something that began then is kept."""
    return (at + SEGMENT_OFFSET) // DAY


def day_start(day: int) -> int:
    return day * DAY - SEGMENT_OFFSET
