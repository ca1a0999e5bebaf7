"""A slot that is lost and taken again may be another one; the name in the group follows it."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy.ext.asyncio import create_async_engine

from services.tracing.app import service
from shared.bus.port import Delivered
from shared.clock import SystemClock
from shared.database.work import Database
from shared.delivery.consumer import ConsumerLoop
from shared.delivery.faults import NoFaults
from shared.service import Room
from shared.settings import Settings
from tests.eventually import eventually


class SilentConsumer:
    """A member that hears nothing; while it polls, the process gets another slot."""

    def __init__(self, slots: list[str]) -> None:
        self.lock = asyncio.Lock()
        self._slots = slots
        self.closed = False

    async def poll(self, **_: Any) -> list[Delivered]:
        if len(self._slots) > 1:
            self._slots.pop(0)
        await asyncio.sleep(0)
        return []

    async def close(self) -> None:
        self.closed = True


class OneGroupBus:
    """Writes down under which names somebody joined."""

    def __init__(self, slots: list[str]) -> None:
        self._slots = slots
        self.joined: list[tuple[str | None, SilentConsumer]] = []

    async def consumer(self, *_: Any, member: str | None = None) -> SilentConsumer:
        consumer = SilentConsumer(self._slots)
        self.joined.append((member, consumer))
        return consumer


async def test_a_process_that_got_another_slot_leaves_and_joins_under_its_new_name() -> None:
    slots = ["tracing-0", "tracing-2"]
    bus = OneGroupBus(slots)
    engine = create_async_engine("postgresql+asyncpg://nowhere/never_asked")
    clock = SystemClock()
    database = Database(engine, service="tracing", tables=service.tables, clock=clock)
    # No more of a bus than a consumer's loop asks for, and nobody asks how fresh copies are.
    fake: Any = bus
    nobody: Any = None
    room = Room("tracing", database, fake, clock, Settings(), nobody)
    loop = ConsumerLoop(service.consumers[0], room, member=lambda: slots[0], faults=NoFaults())
    # It ends by itself; the supervisor of the process starts it again.
    await asyncio.wait_for(loop.run(), 5.0)
    ((name, consumer),) = bus.joined
    assert name == "tracing-0"
    assert consumer.closed, "the old name is given back"
    again = asyncio.create_task(loop.run())

    async def joined_again() -> bool:
        return len(bus.joined) == 2

    await eventually(joined_again)
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
    assert bus.joined[1][0] == "tracing-2"
