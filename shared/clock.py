"""The clock port. Business time comes from here alone; SQL never asks the database for the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Business time as an aware UTC instant."""

    def now(self) -> datetime: ...


class SystemClock:
    """Real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class FastClock:
    """Starts at a business instant and runs `speed` times as fast as real time; for demo and
    drills.
    """

    def __init__(self, start_at: datetime, *, speed: float) -> None:
        self._start_at = start_at
        self._speed = speed
        self._started = time.monotonic()

    def now(self) -> datetime:
        return self._start_at + timedelta(seconds=(time.monotonic() - self._started) * self._speed)


class ManualClock:
    """Stands still until it is told to move; for tests and for replay by the generator."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at

    def move_to(self, at: datetime) -> None:
        """Only forwards: a clock that ran backwards would fire no timer and hide the mistake."""
        if at < self._at:
            raise ValueError(f"the clock stands at {self._at}, it cannot go back to {at}")
        self._at = at


def real_now() -> datetime:
    """Real time for leases, sessions and measurements, never for business decisions."""
    return datetime.now(UTC)
