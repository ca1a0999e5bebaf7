"""The stays of cases in the memory of this process, and which of them new visits meet.

The copy is never older than the question: every question first reads what changed since the last
one. What is committed after that reading makes its own (case, place) due, so it is not missed.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from uuid import UUID

from services.tracing.domain.watched import Stayed, WatchedPlaces
from services.tracing.repository.journal import AWAY_SECONDS
from services.tracing.repository.watched import (
    Met,
    Position,
    all_own_stays,
    met_in_tables,
    own_stays_of,
    read_changes,
)
from shared.clock import real_now
from shared.database.work import Work
from shared.log import logger
from shared.metrics import LIVE_DECISIONS, WATCHED_STAYS
from shared.policy import Reader
from shared.service import Room
from shared.settings import Settings

LOG = logger("watch")
WATCH, AT_HAND = "tracing.watch", "tracing.at_hand"
# Of up to a thousand visits each; whoever judges later than that asks SQL.
BATCHES_AT_HAND_MOST = 50
# Nobody reads all stays for every batch only to find them too many again.
TOO_MANY_SECONDS = 600.0


class Watch:
    """Keeps the copy of one process current. Over `limit` stays it keeps none, and SQL answers."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # One refresh at a time: a slower one must not put back what a faster one has replaced.
        self._refreshing = asyncio.Lock()
        self._position: Position | None = None
        self._read_at = 0.0
        self._too_many_until = 0.0
        self._watched = WatchedPlaces()

    async def current(self, reader: Reader) -> WatchedPlaces | None:
        """All that was committed before this call, and perhaps more; None: ask SQL.

        Later refreshes move the same object forward, never back; what is let go is another object.
        """
        if not self._limit:
            return None
        async with self._refreshing:
            if time.monotonic() < self._too_many_until:
                return None
            asked_at = real_now().timestamp()
            known = self._position if asked_at - self._read_at < AWAY_SECONDS else None
            position, changes = await read_changes(reader, known)
            if known is None or not position.head.follows(known.head):
                self._watched = await self._read_all(reader)
            elif changes:
                case_ids = sorted({case_id for case_id, _ in changes})
                for case_id, stays in (await own_stays_of(reader, case_ids)).items():
                    self._watched.replace(case_id, stays)
            self._position, self._read_at = position, asked_at
            if self._watched.count > self._limit:
                self._let_go()
                return None
            WATCHED_STAYS.set(self._watched.count)
            return self._watched

    async def _read_all(self, reader: Reader) -> WatchedPlaces:
        watched = WatchedPlaces()
        for case_id, stays in (await all_own_stays(reader, most=self._limit)).items():
            watched.replace(case_id, stays)
        return watched

    def _let_go(self) -> None:
        LOG.warning("watch_too_large", limit=self._limit)
        self._position, self._watched = None, WatchedPlaces()
        self._too_many_until = time.monotonic() + TOO_MANY_SECONDS
        WATCHED_STAYS.set(0)


class AtHand:
    """What this process wrote a moment ago, by batch: nothing need be read back to judge it.

    Noted before the commit. A batch that was never committed is never due, and is pushed out.
    """

    def __init__(self) -> None:
        self._batches: OrderedDict[UUID, tuple[Sequence[Stayed], bool]] = OrderedDict()

    def note(self, batch_id: UUID, visits: Sequence[Stayed], *, revising: bool) -> None:
        """`revising`: some were written over other versions."""
        self._batches[batch_id] = (visits, revising)
        if len(self._batches) > BATCHES_AT_HAND_MOST:
            self._batches.popitem(last=False)

    def take(self, batch_id: UUID) -> tuple[Sequence[Stayed], bool] | None:
        """Once: who judges it again asks SQL."""
        return self._batches.pop(batch_id, None)


async def meetings_of(work: Work, batch_ids: Sequence[UUID]) -> set[Met]:
    """Where a visit that these batches wrote, or wrote over, meets a case.

    What this process wrote itself is held against the stays in memory. The rest is asked of SQL,
    which is faster than reading it back: batches of another process, and versions written over. Of
    a visit that a later batch has written over meanwhile a key too many may come: it finds nothing
    to do.
    """
    watched = await watch_of(work).current(work)
    if watched is not None and not watched.count:
        return set()
    met: set[Met] = set()
    written, revising = [], []
    for batch_id in batch_ids:
        known = at_hand(work).take(batch_id)
        if watched is None or known is None:
            written.append(batch_id)
            revising.append(batch_id)
            continue
        visits, over_others = known
        met |= {
            (case_id, visit.place_id, visit.id)
            for visit in visits
            for case_id in watched.cases_met(visit)
        }
        if over_others:
            revising.append(batch_id)
    LIVE_DECISIONS.labels("memory").inc(len(batch_ids) - len(written))
    LIVE_DECISIONS.labels("sql").inc(len(written))
    return met | await met_in_tables(work, written, revising) if revising else met


def at_hand(work: Work) -> AtHand:
    found = work.kept.setdefault(AT_HAND, AtHand())
    assert isinstance(found, AtHand)
    return found


def watch_of(work: Work) -> Watch:
    """The one of this process; made with the usual limit where no runtime has set it up."""
    if WATCH not in work.kept:
        work.kept[WATCH] = Watch(Settings.model_fields["tracing_watched_stays"].default)
    found = work.kept[WATCH]
    assert isinstance(found, Watch)
    return found


async def open_watch(room: Room) -> None:
    """Before the doors open: with the limit of the settings."""
    room.database.kept[WATCH] = Watch(room.settings.tracing_watched_stays)
