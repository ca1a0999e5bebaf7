"""A crowd's rows go from an outbox to the embedded log in one statement, without the process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import MetaData, Table, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.bus.headers import pack_headers
from shared.bus.port import MAX_MESSAGE_BYTES, Message
from shared.clock import real_now
from shared.database.tables import service_metadata, standard_tables
from tests.contract.bus_harness import EmbeddedLog, new_group, new_topic, numbered, take, values

HEADERS = (("ce_type", b"outpost.test"), ("ce_id", b"1"))


class Boxes:
    """An outbox in the log's database."""

    def __init__(self, engine: AsyncEngine, outbox: Table) -> None:
        self.engine = engine
        self.outbox = outbox

    async def put(self, messages: Sequence[Message]) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(
                insert(self.outbox),
                [
                    {
                        "topic": one.topic,
                        "partition": one.partition,
                        "key": one.key,
                        "value": one.value,
                        "headers": pack_headers(one.headers),
                        "written_at": real_now(),
                    }
                    for one in messages
                ],
            )

    async def move(self, statement: Any, rows: Mapping[str, Any]) -> Sequence[Any]:
        async with self.engine.begin() as connection:
            return (await connection.execute(statement, rows)).all()

    async def left(self) -> int:
        async with self.engine.connect() as connection:
            query = select(func.count()).select_from(self.outbox)
            return int((await connection.execute(query)).scalar_one())


@pytest_asyncio.fixture
async def boxes(embedded_log: EmbeddedLog) -> AsyncIterator[Boxes]:
    engine = create_async_engine(embedded_log.url, pool_size=2)
    metadata: MetaData = service_metadata("carried")
    outbox = standard_tables(metadata).outbox
    async with engine.begin() as connection:
        await connection.execute(text("CREATE SCHEMA IF NOT EXISTS carried"))
        await connection.run_sync(outbox.create, checkfirst=True)
        await connection.execute(text("TRUNCATE carried.outbox"))
    yield Boxes(engine, outbox)
    await engine.dispose()


def with_headers(messages: Sequence[Message]) -> list[Message]:
    return [one._replace(headers=HEADERS) for one in messages]


async def test_what_is_carried_arrives_whole_and_in_order_behind_what_was_published(
    embedded_log: EmbeddedLog, boxes: Boxes
) -> None:
    bus = await embedded_log.process()
    shape = new_topic()
    await bus.ensure_topics([shape])
    publisher = await bus.publisher("test")
    consumer = await bus.consumer(new_group(), [shape.name])
    await publisher.publish(with_headers(numbered(shape.name, range(40))))
    sent = with_headers(numbered(shape.name, range(40, 240)))
    await boxes.put(sent)
    carried = [await publisher.carry(boxes.move, "carried.outbox", most=150) for _ in range(3)]
    assert carried == [150, 50, 0]
    assert await boxes.left() == 0
    records = await take(consumer, 240)
    assert sorted(values(records)) == list(range(240))
    for number in range(4):
        own = [record for record in records if record.partition == number]
        assert values(own) == list(range(number, 240, 4))
        assert [record.offset for record in own] == list(range(60))
    assert {(record.key, tuple(record.headers)) for record in records} == {
        (b"key-%d" % number, HEADERS) for number in range(240)
    }


async def test_another_process_hears_what_was_carried(
    embedded_log: EmbeddedLog, boxes: Boxes
) -> None:
    one, other = await embedded_log.process(), await embedded_log.process()
    shape = new_topic()
    await one.ensure_topics([shape])
    consumer = await other.consumer(new_group(), [shape.name])
    await boxes.put(with_headers(numbered(shape.name, range(20))))
    # This one has not heard of the topic, either.
    publisher = await (await embedded_log.process()).publisher("test")
    assert await publisher.carry(boxes.move, "carried.outbox", most=100) == 20
    assert sorted(values(await take(consumer, 20))) == list(range(20))


@pytest.mark.parametrize("bad", ["large", "without_partition", "unreadable"])
async def test_nothing_is_carried_while_one_row_has_to_be_looked_at(
    embedded_log: EmbeddedLog, boxes: Boxes, bad: str
) -> None:
    bus = await embedded_log.process()
    shape = new_topic()
    await bus.ensure_topics([shape])
    first, *others = with_headers(numbered(shape.name, range(5)))
    spoilt = {
        "large": first._replace(value=b"x" * MAX_MESSAGE_BYTES),
        "without_partition": first._replace(partition=99),
        # Headers that are no plain text are kept as JSON.
        "unreadable": first._replace(headers=(("name", "前哨".encode()),)),
    }
    await boxes.put([*others, spoilt[bad]])
    publisher = await bus.publisher("test")
    assert await publisher.carry(boxes.move, "carried.outbox", most=100) == 0
    assert await boxes.left() == 5
    assert await publisher.carry(boxes.move, "carried.outbox", most=4) == 4
    assert await boxes.left() == 1
