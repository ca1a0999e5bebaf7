"""Has everything that was said been heard and judged? For tests, demo and the balance sheet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from sqlalchemy import func, select

from shared.bus.port import Bus, BusUnavailable
from shared.database.work import Database
from shared.service import Service, topics_of

PAUSE_SECONDS = 0.05


async def moving(
    services: Sequence[Service], databases: dict[str, Database], bus: Bus
) -> list[str]:
    """What is still on its way, as words; empty when nothing is.

    The log, a call for each group, is asked only once nothing waits in the tables. These are looked
    at again after it: what was on its way through the log then waits in them.
    """
    found = await _waiting_anywhere(services, databases)
    if found:
        return found
    for service in services:
        for group in service.consumers:
            name = f"{service.name}.{group.purpose}"
            lag = await bus.group_lag(name, topics_of(group))
            if lag:
                found.append(f"{name}: {lag} events behind")
    return found or await _waiting_anywhere(services, databases)


async def _waiting_anywhere(
    services: Sequence[Service], databases: dict[str, Database]
) -> list[str]:
    found: list[str] = []
    for service in services:
        found += await _waiting(service, databases[service.name])
    return found


async def _waiting(service: Service, database: Database) -> list[str]:
    tables = database.tables
    rang = tables.timer.c.due_at <= database.clock.now()
    counts = {
        "outbox": select(func.count()).select_from(tables.outbox),
        "due": select(func.count()).select_from(tables.due),
        "timers": select(func.count()).select_from(tables.timer).where(rang),
    }
    asked = select(*(one.scalar_subquery().label(name) for name, one in counts.items()))
    async with database.read() as session:
        row = (await session.execute(asked)).one()
    return [f"{service.name}: {count} in {name}" for name, count in row._mapping.items() if count]


async def settled(
    services: Sequence[Service],
    databases: dict[str, Database],
    bus: Bus,
    *,
    within_seconds: float = 60.0,
) -> None:
    """Return when nothing moves, twice running. `TimeoutError` says what still does."""
    deadline = time.monotonic() + within_seconds
    still = 0
    left: list[str] = ["not looked yet"]
    while still < 2:
        began = time.monotonic()
        if began > deadline:
            raise TimeoutError(f"not settled after {within_seconds:.0f} s: {'; '.join(left)}")
        try:
            left = await moving(services, databases, bus)
        except (BusUnavailable, OSError) as error:
            left = [f"not reachable: {error}"]
        still = 0 if left else still + 1
        if still < 2:
            # Not more than half of the time: who is waited for needs the processor.
            await asyncio.sleep(max(PAUSE_SECONDS, time.monotonic() - began))
