"""Loops that must not die: restarted with back-off, stopped on purpose only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from shared.log import logger

LOG = logger("supervision")
BACKOFF_FIRST_SECONDS = 0.1
BACKOFF_MOST_SECONDS = 5.0
REST_MOST_SECONDS = 0.05


class Backoff:
    """Doubles from a tenth of a second to five seconds; `reset` after a success."""

    def __init__(self) -> None:
        self._seconds = BACKOFF_FIRST_SECONDS

    def reset(self) -> None:
        self._seconds = BACKOFF_FIRST_SECONDS

    async def wait(self) -> None:
        await asyncio.sleep(self._seconds)
        self._seconds = min(self._seconds * 2, BACKOFF_MOST_SECONDS)


class Pace:
    """Keeps the turns of a loop some milliseconds apart.

    A stream of single events is then taken a few at a time, at a fraction of the cost; what comes
    after a pause waits for nothing. Where turns are long, since the machine is slow or others are
    at work in this process, they come less often and take more: a loop rests as long as it worked.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = 0.0
        self._next = 0.0

    async def wait(self) -> None:
        """Until the next turn may begin."""
        loop = asyncio.get_running_loop()
        rest = self._next - loop.time()
        if rest > 0:
            await asyncio.sleep(rest)
        self._began = loop.time()
        self._next = self._began + self._seconds

    def worked(self) -> None:
        """The turn that began with the last `wait` is over."""
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now + min(now - self._began, REST_MOST_SECONDS))


async def supervise(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run for ever. An error is logged with its traceback and the loop starts again."""
    backoff = Backoff()
    while True:
        started = asyncio.get_running_loop().time()
        try:
            await run()
        except asyncio.CancelledError:
            raise
        except Exception:  # the edge: whatever broke, the loop must come back
            LOG.exception("loop_failed", loop=name)
        if asyncio.get_running_loop().time() - started > BACKOFF_MOST_SECONDS:
            backoff.reset()
        await backoff.wait()


async def wait_for_any(events: list[asyncio.Event], *, seconds: float) -> None:
    """Until one is set or the time is over; clears the ones that were set."""
    if not any(event.is_set() for event in events):
        waiters = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waiters, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()
    for event in events:
        event.clear()
