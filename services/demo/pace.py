"""The business clock of a play: moved along with the events, or running fast by itself."""

from __future__ import annotations

import asyncio
from datetime import datetime

from services.demo.plan import START_AT
from shared.clock import FastClock, ManualClock

# Six days in about three and a half minutes.
SPEED = 2_400.0
PAUSE_SECONDS = 0.05


class AtOnce:
    """The clock stands until the play moves it: as fast as the services take it, and every time the
    same."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_AT)

    def start(self) -> None:
        """Nothing to start."""

    async def reach(self, moment: datetime) -> None:
        self.clock.move_to(max(moment, self.clock.now()))

    def end(self) -> None:
        """Nothing to stop."""


class StoryClock:
    """Stands at the beginning until the curtain rises, however long the services take to start."""

    def __init__(self) -> None:
        self.running: FastClock | None = None

    def now(self) -> datetime:
        return START_AT if self.running is None else self.running.now()


class Fast:
    """A clock that runs fast while there is something to see, and at its usual pace afterwards."""

    def __init__(self, speed: float = SPEED) -> None:
        self.clock = StoryClock()
        self._speed = speed

    def start(self) -> None:
        self.clock.running = FastClock(START_AT, speed=self._speed)

    async def reach(self, moment: datetime) -> None:
        # A clock tells nobody that a moment has come: it can only be looked at.
        while self.clock.now() < moment:  # noqa: ASYNC110
            await asyncio.sleep(PAUSE_SECONDS)

    def end(self) -> None:
        self.clock.running = FastClock(self.clock.now(), speed=1)
