"""The city of this process: built at start, kept fresh from the tail, let go when it is too large.

Whoever asks takes `keeper.city` once and keeps it for the whole question.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from sqlalchemy import text

from services.tracing.repository.journal import AWAY_SECONDS, TAIL_HOURS, count_visits
from shared.clock import real_now
from shared.database.absence import AWAY
from shared.database.work import Actor
from shared.log import logger
from shared.metrics import CITY_AGE, CITY_BYTES, CITY_VISITS
from shared.service import Room

if TYPE_CHECKING:
    from services.tracing.domain.city.city import City
    from services.tracing.repository.city import Tail

LOG = logger("city")
KEEPER = "tracing.city"
REFRESH_SECONDS = 1.0
# How often somebody without a city looks whether one is worth it by now.
LOOK_SECONDS = 15.0
PROGRESS_SECONDS = 2.0
CLEAN_SECONDS = 600.0
# Nobody reads a whole city every second only to find it too large again.
TOO_LARGE_SECONDS = 600.0
# Older than this it answers no more: SQL knows better.
STALE_SECONDS = 10.0
# Of a visit's own columns; its tables come on top.
VISIT_BYTES = 29
FORGET = (
    text("DELETE FROM tracing.journal WHERE written_at < :before"),
    text("DELETE FROM tracing.presence_change WHERE written_at < :before"),
)


class TooLarge(Exception):
    """More than the limit, seen while it is read."""


class CityKeeper:
    """Builds, refreshes and hands out the city of one process."""

    def __init__(
        self, room: Room, *, limit_bytes: int | None = None, stale_seconds: float = STALE_SECONDS
    ) -> None:
        self._room = room
        self._stale_seconds = stale_seconds
        self._limit = limit_bytes or room.settings.tracing_city_mb << 20
        self._tail: Tail | None = None
        self._refreshed_at = 0.0
        self._cleaned_at = 0.0
        self._too_large_until = 0.0
        self.city: City | None = None
        self.fallback = "the city has not been read yet"
        CITY_AGE.set_function(self._age_seconds)

    def _age_seconds(self) -> float:
        return 0.0 if self.city is None else (real_now().timestamp() - self._refreshed_at)

    async def open(self) -> None:
        """Before the doors open: whether a city will be read, so that readiness waits for it."""
        if await self._is_worth_it():
            self._room.waiting_for["city"] = "the city is being read"

    @property
    def fresh(self) -> City | None:
        """The city, unless its last refresh is too long ago."""
        return self.city if self._age_seconds() <= self._stale_seconds else None

    async def follow(self) -> None:
        """For ever. What goes wrong costs the city, never an answer: SQL goes on."""
        wait = 0.0
        # Others write the tail: there is no event to wait for.
        while True:
            await asyncio.sleep(wait)
            try:
                wait = await self.step()
            except AWAY as error:
                LOG.warning("city_not_refreshed", error=type(error).__name__)
                wait = REFRESH_SECONDS
            except Exception:  # the edge: nobody may wait for a city that cannot be read
                LOG.exception("city_failed")
                self._let_go("reading it failed, see the log")
                wait = LOOK_SECONDS

    async def step(self) -> float:
        """Build or refresh once; returns the seconds until the next time."""
        if real_now().timestamp() - self._cleaned_at > CLEAN_SECONDS:
            self._cleaned_at = real_now().timestamp()
            await self._clean()
        if self.city is None:
            if time.monotonic() < self._too_large_until or not await self._is_worth_it():
                return LOOK_SECONDS
            try:
                await self._build()
            except TooLarge as error:
                self._let_go(str(error))
                self._too_large_until = time.monotonic() + TOO_LARGE_SECONDS
            return REFRESH_SECONDS
        if self._age_seconds() > AWAY_SECONDS:
            self._let_go("the city was away for too long")
            return 0.0
        await self._refresh()
        return REFRESH_SECONDS

    async def _is_worth_it(self) -> bool:
        settings = self._room.settings
        if not settings.tracing_city_mb:
            return self._fall_back("switched off by OUTPOST_TRACING_CITY_MB=0")
        enough = settings.tracing_city_from_visits
        async with self._room.database.read() as session:
            if await count_visits(session, enough=enough) < enough:
                return self._fall_back(f"fewer than {enough} visits")
        return True

    def _first_day(self) -> int:
        from services.tracing.domain.city.times import micros, segment_day

        return segment_day(micros(self._room.clock.now())) - self._room.settings.tracing_city_days

    async def _build(self) -> None:
        reading = await asyncio.to_thread(_import_reading, self._room.settings.data_dir)
        started, told = time.monotonic(), time.monotonic()

        def progress(rows: int) -> None:
            nonlocal told
            if rows * VISIT_BYTES > self._limit:
                raise TooLarge(f"{rows} visits are over OUTPOST_TRACING_CITY_MB")
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                LOG.info("city_reading", visits=rows, seconds=round(told - started, 1))

        async with self._room.database.read() as session:
            city, tail = await reading.read_city(
                session, first_day=self._first_day(), progress=progress
            )
        seconds = round(time.monotonic() - started, 2)
        LOG.info("city_read", visits=city.visits, megabytes=city.bytes >> 20, seconds=seconds)
        await asyncio.to_thread(_warm_up, city)
        self._hand_out(city, tail)

    async def _refresh(self) -> None:
        reading = _import_reading(self._room.settings.data_dir)
        city, tail = self.city, self._tail
        assert city is not None
        assert tail is not None
        first_day = self._first_day()
        if first_day < city.first_day - 1:
            self._let_go("the business clock went back")
            return
        try:
            async with self._room.database.read() as session:
                change, tail = await reading.read_change(session, city, tail)
            if change is not None or first_day > city.first_day:
                nothing = reading.Change()
                city = await asyncio.to_thread(
                    lambda: self._next(city, change or nothing, first_day)
                )
        except LookupError as error:
            LOG.warning("city_broken", reason=str(error))
            self._let_go(str(error))
            return
        self._hand_out(city, tail)

    @staticmethod
    def _next(city: City, change: object, first_day: int) -> City:
        return city.with_change(change, first_day=first_day)  # type: ignore[arg-type]

    def _hand_out(self, city: City, tail: Tail) -> None:
        """One assignment after another on one thread: who reads `city` sees it whole."""
        if city.bytes > self._limit:
            self._let_go(f"{city.bytes >> 20} MB are over OUTPOST_TRACING_CITY_MB")
            self._too_large_until = time.monotonic() + TOO_LARGE_SECONDS
            return
        self._refreshed_at = real_now().timestamp()
        self.city, self._tail = city, tail
        CITY_VISITS.set(city.visits)
        CITY_BYTES.set(city.bytes)
        self._room.waiting_for.pop("city", None)
        self._room.notes["tracing questions"] = "answered by the city in memory"

    def _let_go(self, reason: str) -> None:
        self.city = self._tail = None
        self._fall_back(reason)

    def _fall_back(self, reason: str) -> bool:
        self.fallback = reason
        CITY_VISITS.set(0)
        CITY_BYTES.set(0)
        self._room.waiting_for.pop("city", None)
        self._room.notes["tracing questions"] = f"answered by SQL: {reason}"
        return False

    async def _clean(self) -> None:
        async with self._room.database.work(Actor("maintenance")) as work:
            before = real_now() - timedelta(hours=TAIL_HOURS)
            for statement in FORGET:
                await work.execute(statement, {"before": before})


def _import_reading(data_dir: Path) -> ModuleType:
    """Numba is imported on first use: half a second, and nothing without a city.

    The loops, once compiled, are kept in the data folder, or where that cannot be written in a new
    folder of our own: what is read from there is run.
    """
    from numba import config

    if not config.CACHE_DIR:  # type: ignore[attr-defined]  # made at run time
        folder = data_dir.absolute() / "numba"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            folder = Path(tempfile.mkdtemp(prefix="outpost-numba-"))
        config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    from services.tracing.repository import city as reading

    return reading


def _warm_up(city: City) -> None:
    """Every loop compiled before anybody waits for one."""
    from services.tracing.domain.city import warm

    warm.ask_anything(city)


def keeper_of(room: Room) -> CityKeeper:
    if KEEPER not in room.extras:
        room.extras[KEEPER] = CityKeeper(room)
    return cast("CityKeeper", room.extras[KEEPER])


async def open_city(room: Room) -> None:
    """Before the doors open."""
    await keeper_of(room).open()


async def follow_city(room: Room) -> None:
    """As long as the process lives."""
    await keeper_of(room).follow()
