"""How busy the doors of this process are, and the courtesy of heavy streams towards them.

One process has one thread. When phones press at the door, applying yesterday's scans can wait a
moment; being told to wait at the gate cannot. Heavy groups give way, but for a bounded time before
each batch: under any load they go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

# So many writes at once mean that senders wait for one another; half as many are what a turn of a
# door gathers at two hundred single reports a second. Of batches of a hundred two are enough.
BUSY_WRITES = 12
BUSY_ROWS = 150
LOOK_SECONDS = 0.02


class Pressure:
    """Writes in flight over all doors of the process, and the rows that wait for their answer.

    Rows count once they are read: a sender that trickles its body in keeps nobody waiting.
    """

    def __init__(self) -> None:
        self.writes = 0
        self.rows = 0

    @property
    def is_high(self) -> bool:
        return self.writes >= BUSY_WRITES or self.rows >= BUSY_ROWS

    @contextmanager
    def of_rows(self, number: int) -> Iterator[None]:
        """While so many rows are answered."""
        self.rows += number
        try:
            yield
        finally:
            self.rows -= number

    async def give_way(self, *, seconds: float) -> None:
        """Return when the doors are calm, or after so long."""
        until = time.monotonic() + seconds
        # There is no event to await: pressure rises and falls with every request.
        while self.is_high and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)
