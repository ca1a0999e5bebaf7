"""A consumer in a process of its own, to be killed: `python -m tests.contract.bus_process`.

Environment: BUS_DATABASE or BUS_BROKERS, BUS_GROUP, BUS_TOPIC, BUS_MEMBER (may be empty).
Prints `joined`, then `seen <number>` for each record before its position is committed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import create_async_engine

from shared.bus.port import Bus, Delivered
from tests.contract.bus_harness import embedded_bus, kafka_bus, values, work


def show(records: Sequence[Delivered]) -> None:
    sys.stdout.write("".join(f"seen {number}\n" for number in values(records)))
    sys.stdout.flush()


async def main() -> None:
    database = os.environ.get("BUS_DATABASE")
    bus: Bus
    if database:
        bus = embedded_bus(create_async_engine(database, pool_size=2))
    else:
        bus = kafka_bus(os.environ["BUS_BROKERS"])
    await bus.start()
    member = os.environ.get("BUS_MEMBER") or None
    consumer = await bus.consumer(os.environ["BUS_GROUP"], [os.environ["BUS_TOPIC"]], member=member)
    sys.stdout.write("joined\n")
    sys.stdout.flush()
    await work(consumer, show, max_records=20)


if __name__ == "__main__":
    asyncio.run(main())
