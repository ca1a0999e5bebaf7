"""Small deliveries that come at once share a transaction and its way to the disk.

A lone delivery waits for nothing, nor does a sender who sends one after the other's answer. In a
crowd, turns are some milliseconds apart, and whoever comes between two of them goes with the next:
single reports then cost little more than rows of a batch, here and in everything downstream, which
is woken once a turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from services.intake.handlers.batches import Delivery, RowDoor
from services.intake.handlers.desk import Desk
from services.intake.handlers.rows import take_deliveries
from shared.database.absence import is_away, is_contended

# One prepares while the other waits for the disk.
COMMITS_IN_FLIGHT = 2
# So many set off at once, however short ago the last turn was. A larger delivery goes alone.
ROWS_MOST = 500
TURN_SECONDS = 0.04


class _Waiting:
    """A delivery and who waits for its answer."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    @property
    def rows(self) -> int:
        return len(self.delivery.rows)

    @property
    def body(self) -> tuple[UUID, bytes]:
        return self.delivery.source_id, self.delivery.body

    def answer(self, reply: bytes) -> None:
        if not self.answered.done():  # who hung up wants no answer
            self.answered.set_result(reply)

    def refuse(self, error: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(error)


class Gathering:
    """What is on its way into one door of this process."""

    def __init__(
        self, desk: Desk, door: RowDoor[Any], *, turn_seconds: float = TURN_SECONDS
    ) -> None:
        self._desk = desk
        self._door = door
        self._turn_seconds = turn_seconds
        self._queue: deque[_Waiting] = deque()
        self._rows = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self._alone: set[asyncio.Task[None]] = set()
        self._bodies: set[tuple[UUID, bytes]] = set()
        self._turn_at = 0.0
        # Whether the last turn had several.
        self._crowded = False
        self._alarm: asyncio.TimerHandle | None = None

    async def take(self, delivery: Delivery) -> bytes:
        """The answer to one delivery, after its commit; the error if it cannot be taken."""
        waiting = _Waiting(delivery)
        self._queue.append(waiting)
        self._rows += waiting.rows
        self._set_off()
        return await waiting.answered

    def _set_off(self) -> None:
        while self._queue and len(self._under_way) < COMMITS_IN_FLIGHT and self._is_time():
            together = self._next()
            if not together:
                return  # its twin is under way, and sets off again when it arrives
            task = asyncio.create_task(self._take(together), name=f"{self._door.name} turn")
            self._under_way.add(task)
            task.add_done_callback(self._arrived)

    def _is_time(self) -> bool:
        loop = asyncio.get_running_loop()
        others = self._crowded or self._under_way
        if others and self._rows < ROWS_MOST and loop.time() < self._turn_at:
            if self._alarm is None:
                self._alarm = loop.call_at(self._turn_at, self._ring)
            return False
        self._turn_at = loop.time() + self._turn_seconds
        return True

    def _ring(self) -> None:
        self._alarm = None
        self._set_off()

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._set_off()

    def _next(self) -> list[_Waiting]:
        """As many as go together. The same body twice does not, nor while it is under way: the
        second is the first's repeat and has to find its receipt. Who stands behind it passes."""
        taken: list[_Waiting] = []
        twins: list[_Waiting] = []
        rows = 0
        while self._queue and not (taken and rows + self._queue[0].rows > ROWS_MOST):
            following = self._queue.popleft()
            if following.body in self._bodies:
                twins.append(following)
                continue
            rows += following.rows
            self._bodies.add(following.body)
            taken.append(following)
        self._queue.extendleft(reversed(twins))
        self._rows -= rows
        self._crowded = len(taken) > 1
        return taken

    async def _take(self, together: Sequence[_Waiting]) -> None:
        deliveries = [one.delivery for one in together]
        try:
            replies = await take_deliveries(self._desk, self._door, deliveries)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            if len(together) > 1 and (is_contended(error) or not is_away(error)):
                # Somebody's delivery cannot be taken, or has to wait for a lock; the others' need
                # not. Each goes on its own, and nobody behind them waits for that.
                for one in together:
                    self._take_alone(one)
                return
            for one in together:
                one.refuse(error)
        else:
            for one, reply in zip(together, replies, strict=True):
                one.answer(reply)
        self._bodies.difference_update(one.body for one in together)

    def _take_alone(self, one: _Waiting) -> None:
        task = asyncio.create_task(self._take([one]), name=f"{self._door.name} alone")
        self._alone.add(task)
        task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._alone.discard(task)
        self._set_off()
