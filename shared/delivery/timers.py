"""The clock door: fires timers whose business instant has come, at least once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import bindparam, delete, select, tuple_

from shared.database.work import Actor, Database
from shared.delivery.supervision import wait_for_any
from shared.log import logger
from shared.metrics import TIMERS_FIRED
from shared.service import KeysHandler

LOG = logger("timers")
FIRE_AT_ONCE = 100
POLL_SECONDS = 0.5
ATTEMPT_DELAY = timedelta(seconds=1)


class TimerLoop:
    """The timers of one service in one process; rows are shared between processes by `SKIP
    LOCKED`.
    """

    def __init__(self, database: Database, handlers: Mapping[str, KeysHandler]) -> None:
        self._database = database
        self._handlers = handlers
        timer = database.tables.timer
        # Built once: the loop asks several times a second, and building costs more than asking.
        self._passed = (
            select(timer)
            .where(timer.c.due_at <= bindparam("now"))
            .order_by(timer.c.due_at)
            .limit(FIRE_AT_ONCE)
            .with_for_update(skip_locked=True)
        )

    async def run(self) -> None:
        while True:
            if not await self.fire_once():
                await wait_for_any([self._database.wakeups.timer], seconds=POLL_SECONDS)

    async def fire_once(self) -> bool:
        """Fire a batch of one kind; False when nothing is due.

        The row goes first: the handler may set the same timer again.
        """
        timer = self._database.tables.timer
        async with self._database.work(Actor("timer")) as work:
            now = self._database.clock.now()
            rows = (await work.execute(self._passed, {"now": now})).all()
            if not rows:
                return False
            kind = rows[0].kind
            keys = [row.key for row in rows if row.kind == kind]
            work.actor = Actor(f"timer:{kind}")
            await work.execute(
                delete(timer).where(
                    tuple_(timer.c.kind, timer.c.key).in_([(kind, key) for key in keys])
                )
            )
            await self._handlers[kind](work, keys)
        TIMERS_FIRED.labels(kind).inc(len(keys))
        return True
