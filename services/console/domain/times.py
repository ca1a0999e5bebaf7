"""Instants as people in an area read them."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def zone_named(name: str | None) -> tzinfo:
    """An area's zone; UTC where the area or its zone is not known."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def format_instant(at: datetime, zone: tzinfo) -> str:
    """`2026-11-22 14:03`: the same in both languages, and never read as month and day exchanged."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def format_span(first_at: datetime, last_at: datetime, zone: tzinfo) -> str:
    """`11-22 14:03 – 15:10`; the second date only where it is another."""
    first, last = first_at.astimezone(zone), last_at.astimezone(zone)
    begins = first.strftime("%m-%d %H:%M")
    if first_at == last_at:
        return begins
    same_day = first.date() == last.date()
    return f"{begins} – {last.strftime('%H:%M' if same_day else '%m-%d %H:%M')}"


def format_offset(at: datetime, zone: tzinfo) -> str:
    """`UTC+8`, `UTC-3:30`, `UTC`."""
    offset = at.astimezone(zone).utcoffset()
    minutes = int(offset.total_seconds() // 60) if offset else 0
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}{f':{rest:02d}' if rest else ''}"


def format_input(at: datetime, zone: tzinfo) -> str:
    """As a browser's field for a local time holds it."""
    return at.astimezone(zone).strftime("%Y-%m-%dT%H:%M")


def instant_in(text: str, zone: tzinfo) -> datetime:
    """What was typed, in the area's zone unless it names its own. Raises `ValueError`."""
    at = datetime.fromisoformat(text)
    try:
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("no instant of this calendar") from error
