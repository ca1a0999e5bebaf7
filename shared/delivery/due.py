"""Judges what is due: claim rows, unite their keys, lock the keys, read what is committed, decide.

Statements after the lock see every fact whose due row was claimed (READ COMMITTED takes a
snapshot per
statement). A failing batch falls apart into single keys with back-off, so one bad key stops only
itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Row

from shared.clock import real_now
from shared.database.work import Actor, Database, Work
from shared.delivery.faults import Faults
from shared.delivery.supervision import Pace, wait_for_any
from shared.log import logger
from shared.metrics import DUE_FAILURES
from shared.service import Evaluator, Lane, Service

LOG = logger("due")
CLAIM_ROWS = 200
POLL_SECONDS = 0.5
PACE_SECONDS = 0.02
GATHERED_PACE_SECONDS = 0.05
BACKOFF_MOST_SECONDS = 30.0
IDS = ARRAY(BigInteger)


def lanes_of(service: Service) -> list[Lane | None]:
    """The loops that its evaluators need; one for all of them where nobody need not wait."""
    lanes = sorted({one.lane for one in service.evaluators.values()})
    return [*lanes] if len(lanes) != 1 else [None]


class DueLoop:
    """The evaluators of one service in one process: all of them, or those of one lane. Kinds that
    nobody knows are in the steady one."""

    def __init__(
        self,
        database: Database,
        evaluators: Mapping[str, Evaluator],
        *,
        faults: Faults,
        lane: Lane | None = None,
    ) -> None:
        self._database = database
        self._evaluators = evaluators
        self._faults = faults
        self._pace_seconds = GATHERED_PACE_SECONDS if lane == "gathered" else PACE_SECONDS
        self._wakeup = asyncio.Event()
        due = database.tables.due
        kinds = [kind for kind, one in evaluators.items() if lane in (None, one.lane)]
        database.wakeups.due |= dict.fromkeys(kinds, self._wakeup)
        others = [kind for kind in evaluators if kind not in kinds]
        own = due.c.kind.in_(kinds) if lane not in (None, "steady") else due.c.kind.not_in(others)
        # Built once: the loop asks several times a second, and building costs more than asking.
        self._waiting = (
            select(due)
            .where(or_(due.c.not_before.is_(None), due.c.not_before <= bindparam("now")))
            .where(own)
            .order_by(due.c.id)
            .limit(CLAIM_ROWS)
            .with_for_update(skip_locked=True)
        )
        # Whether rows were seen that the last batch did not take.
        self._more = True
        self._taken = delete(due).where(due.c.id == func.any(bindparam("ids", type_=IDS)))

    async def run(self) -> None:
        pace = Pace(self._pace_seconds)
        while True:
            # Between bursts, not within one: what is waiting already gains nothing by waiting.
            await pace.wait()
            while await self.judge_once() and self._more:
                pass
            pace.worked()
            await wait_for_any([self._wakeup], seconds=POLL_SECONDS)

    async def judge_once(self) -> bool:
        """Judge one batch of one kind; False when nothing was due."""
        claimed: list[Row[Any]] = []
        self._more = True
        try:
            async with self._database.work(Actor("due")) as work:
                claimed = await self._claim(work)
                if not claimed:
                    return False
                await self._judge(work, claimed)
            await self._faults.reach("after an evaluation")
        except Exception:  # the edge: the rows stay, apart and later
            kind = claimed[0].kind if claimed else "?"
            DUE_FAILURES.labels(kind).inc()
            LOG.exception("evaluation_failed", kind=kind)
            if not claimed:
                raise
            await self._set_apart(claimed)
        return True

    async def _claim(self, work: Work) -> list[Row[Any]]:
        rows = (await work.execute(self._waiting, {"now": real_now()})).all()
        if not rows:
            return []
        kind = rows[0].kind
        batch_max = self._evaluators[kind].batch_max if kind in self._evaluators else 1
        claimed = [rows[0]]
        self._more = len(rows) > 1
        if rows[0].attempts:
            return claimed  # it has failed before: alone, or it takes the others with it again
        keys = set(rows[0]._mapping["keys"])
        for row in rows[1:]:
            if row.kind != kind or row.attempts:
                continue
            union = keys | set(row._mapping["keys"])
            if len(union) <= max(batch_max, len(keys)):
                claimed.append(row)
                keys = union
        self._more = len(claimed) < len(rows) or len(rows) == CLAIM_ROWS
        return claimed

    async def _judge(self, work: Work, claimed: Sequence[Row[Any]]) -> None:
        kind = claimed[0].kind
        await work.execute(self._taken, {"ids": [row.id for row in claimed]})
        evaluator = self._evaluators.get(kind)
        if evaluator is None:
            LOG.error("no_evaluator", kind=kind)
            return
        keys = sorted({key for row in claimed for key in row._mapping["keys"]})
        now, rest = keys[: evaluator.batch_max], keys[evaluator.batch_max :]
        work.actor = Actor(f"due:{kind}")
        if rest:
            work.due(kind, rest)
        if evaluator.exclusive:
            await work.lock(*(f"{kind}/{key}" for key in now))
        await evaluator.judge(work, now)

    async def _set_apart(self, claimed: Sequence[Row[Any]]) -> None:
        """Single-key rows with one more attempt behind them, to be left alone for a while."""
        due = self._database.tables.due
        async with self._database.work(Actor("due")) as work:
            locked = (
                await work.execute(
                    select(due)
                    .where(due.c.id.in_([row.id for row in claimed]))
                    .with_for_update(skip_locked=True)
                )
            ).all()
            keys = sorted({key for row in locked for key in row._mapping["keys"]})
            if not locked:
                return
            attempts = max(row.attempts for row in locked) + 1
            alone = len(keys) == 1
            wait = min(0.1 * 2**attempts, BACKOFF_MOST_SECONDS) if alone else 0.0
            if alone:
                await work.execute(
                    update(due)
                    .where(due.c.id.in_([row.id for row in locked]))
                    .values(attempts=attempts, not_before=real_now() + timedelta(seconds=wait))
                )
                return
            await work.execute(delete(due).where(due.c.id.in_([row.id for row in locked])))
            await work.execute(
                due.insert(),
                [{"kind": locked[0].kind, "keys": [key], "attempts": attempts} for key in keys],
            )

    async def waiting(self) -> int:
        """Rows not judged yet."""
        due = self._database.tables.due
        async with self._database.read() as session:
            return int((await session.execute(select(func.count()).select_from(due))).scalar_one())
