"""A slot that is lost and taken again may be another one; the name in the group follows it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import create_async_engine

from services.tracing.app import service
from shared.bus.port import Delivered, Partition
from shared.clock import SystemClock
from shared.database.work import Database
from shared.delivery.consumer import ConsumerLoop
from shared.delivery.faults import NoFaults
from shared.settings import Settings


class SilentConsumer:
    """A member that hears nothing; at its first poll the process gets another slot."""

    def __init__(self, slots: list[str]) -> None:
        self.lock = asyncio.Lock()
        self._slots = slots
        self.closed = False

    async def poll(self, *, max_records: int, wait_seconds: float) -> list[Delivered]:
        if len(self._slots) > 1:
            self._slots.pop(0)
        await asyncio.sleep(0)
        return []

    def mine(self, records: Sequence[Delivered]) -> list[Delivered]:
        return list(records)

    async def commit(self, positions: Mapping[Partition, int]) -> bool:
        return True

    def rewind(self, positions: Mapping[Partition, int]) -> None:
        """Nothing was read."""

    def assignment(self) -> frozenset[Partition]:
        return frozenset()

    async def lag(self) -> dict[Partition, int]:
        return {}

    async def close(self) -> None:
        self.closed = True


class OneGroupBus:
    """Writes down under which names somebody joined."""

    def __init__(self, slots: list[str]) -> None:
        self._slots = slots
        self.joined: list[tuple[str | None, SilentConsumer]] = []

    async def consumer(
        self, group: str, topics: Sequence[str], *, member: str | None = None
    ) -> SilentConsumer:
        consumer = SilentConsumer(self._slots)
        self.joined.append((member, consumer))
        return consumer


async def test_a_process_that_got_another_slot_leaves_and_joins_under_its_new_name() -> None:
    slots = ["tracing-0", "tracing-2"]
    bus = OneGroupBus(slots)
    engine = create_async_engine("postgresql+asyncpg://nowhere/never_asked")
    database = Database(engine, service="tracing", tables=service.tables, clock=SystemClock())
    loop = ConsumerLoop(
        service.consumers[0],
        database=database,
        bus=bus,  # type: ignore[arg-type]  # no more of a bus than a consumer loop asks for
        settings=Settings(),
        member=lambda: slots[0],
        faults=NoFaults(),
    )
    # It ends by itself; the supervisor of the process starts it again.
    await asyncio.wait_for(loop.run(), 5.0)
    (first,) = bus.joined
    assert first[0] == "tracing-0"
    assert first[1].closed, "the old name is given back"
    again = asyncio.create_task(loop.run())
    while len(bus.joined) < 2:
        await asyncio.sleep(0)
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
    assert bus.joined[1][0] == "tracing-2"
