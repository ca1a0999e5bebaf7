"""The alert stream on a log handed in: resume, areas, slow clients, the ledger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest
import pytest_asyncio

from services.alerts.handlers.deliveries import WAITING_MOST, ledger_of, write_deliveries
from services.alerts.handlers.stream import AlertRing, follow_alerts, ring_of, stream_alerts
from services.alerts.repository.deliveries import list_deliveries
from shared.access import Viewer
from shared.bus.envelope import encode
from shared.bus.port import Bus, Delivered
from shared.clock import ManualClock
from shared.events.alerts import AlertChanged
from shared.service import Room
from shared.settings import Settings
from tests.eventually import eventually
from tests.service.alerts.town import COUNTY, EVERYONE, NEIGHBOUR, Town, breach, id_of

AT = datetime(2020, 2, 15, tzinfo=UTC)
TOPIC = "alerts.alert.v1"


class FakeLog:
    """One topic in memory, with the two methods of the bus that the stream uses."""

    def __init__(self) -> None:
        self.records: list[Delivered] = []
        self.tails_from: list[int] = []
        self._news = asyncio.Event()

    def append(self, *events: AlertChanged) -> None:
        for event in events:
            message = encode(event, source="alerts")
            self.records.append(
                Delivered(TOPIC, 0, len(self.records), message.key, message.value, message.headers)
            )
        self._news.set()
        self._news = asyncio.Event()

    async def end_offsets(self, topic: str) -> dict[int, int]:
        assert topic == TOPIC
        return {0: len(self.records)}

    async def tail(self, topic: str, *, from_offset: int) -> FakeTail:
        assert topic == TOPIC
        self.tails_from.append(from_offset)
        return FakeTail(self, from_offset)

    async def wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)


class FakeTail:
    def __init__(self, log: FakeLog, position: int) -> None:
        self._log = log
        self._position = position

    async def read(self, *, max_records: int, wait_seconds: float) -> list[Delivered]:
        if self._position >= len(self._log.records):
            await self._log.wait(wait_seconds)
        found = self._log.records[self._position : self._position + max_records]
        self._position += len(found)
        return found

    async def close(self) -> None:
        return None


def alert(number: int, *, area_id: str = COUNTY, version: int = 1) -> AlertChanged:
    return AlertChanged(
        record_id=id_of("alert", number),
        record_version=version,
        occurred_at=AT,
        recorded_at=AT,
        rule_id="breach",
        rule_version=1,
        area_id=area_id,
        level="orange",
        state="open",
        first_at=AT,
        last_at=AT,
        points=1,
        persons=1,
    )


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest_asyncio.fixture
async def room(town: Town, log: FakeLog) -> AsyncIterator[Room]:
    """The service's room with both of its background tasks running."""
    absent = cast("Any", None)
    room = Room(
        name="alerts",
        database=town.database,
        bus=cast("Bus", log),
        clock=ManualClock(AT),
        settings=Settings(),
        freshness=absent,
    )
    tasks = [asyncio.create_task(run(room)) for run in (follow_alerts, write_deliveries)]
    await ring_of(room).ready.wait()
    yield room
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def take(stream: AsyncIterator[bytes], count: int) -> list[tuple[int, str]]:
    """(id, alert) of the next `count` events; the stream's opening line is skipped."""
    found: list[tuple[int, str]] = []
    while len(found) < count:
        chunk = (await asyncio.wait_for(anext(stream), 10)).decode()
        fields = dict(line.split(": ", 1) for line in chunk.splitlines() if ": " in line)
        if "id" in fields:
            assert fields["event"] == "alert"
            found.append((int(fields["id"]), json.loads(fields["data"])["record_id"]))
    return found


def ids(*numbers: int) -> list[str]:
    return [str(id_of("alert", number)) for number in numbers]


async def follow(room: Room, last: int | None, viewer: Viewer = EVERYONE) -> AsyncIterator[bytes]:
    """An open stream, past its opening line."""
    stream = stream_alerts(room, viewer, last_offset=last)
    opening = await anext(stream)
    assert b"retry: " in opening
    return stream


async def test_a_stream_gives_what_comes_from_now_on(room: Room, log: FakeLog) -> None:
    log.append(alert(0))
    await caught_up(room, log)
    stream = await follow(room, None)
    pending = asyncio.ensure_future(take(stream, 2))
    await asyncio.sleep(0)
    log.append(alert(1))
    log.append(alert(2))
    assert await pending == list(zip([1, 2], ids(1, 2), strict=True))


async def caught_up(room: Room, log: FakeLog) -> None:
    async def holds() -> bool:
        return ring_of(room).next_offset == len(log.records)

    await eventually(holds)


async def test_a_client_that_comes_back_gets_what_it_missed_and_nothing_twice(
    room: Room, log: FakeLog
) -> None:
    log.append(*(alert(number) for number in range(5)))
    await caught_up(room, log)
    stream = await follow(room, 1)
    assert await take(stream, 3) == list(zip([2, 3, 4], ids(2, 3, 4), strict=True))
    log.append(alert(5))
    assert await take(stream, 1) == [(5, ids(5)[0])]


async def test_what_the_ring_no_longer_holds_is_read_from_the_log(room: Room, log: FakeLog) -> None:
    room.extras["ring"]._size = 3
    log.append(*(alert(number) for number in range(10)))
    await caught_up(room, log)
    assert ring_of(room).from_offset == 7
    stream = await follow(room, 2)
    got = await take(stream, 7)
    assert got == list(zip(range(3, 10), ids(*range(3, 10)), strict=True))
    assert 3 in log.tails_from
    log.append(alert(10))
    assert await take(stream, 1) == [(10, ids(10)[0])]


async def test_an_id_from_a_log_that_began_anew_does_not_silence_the_stream(
    room: Room, log: FakeLog
) -> None:
    stream = await follow(room, 999)
    pending = asyncio.ensure_future(take(stream, 1))
    await asyncio.sleep(0)
    log.append(alert(0))
    assert await pending == [(0, ids(0)[0])]


async def test_a_viewer_sees_only_alerts_of_areas_of_theirs(room: Room, log: FakeLog) -> None:
    log.append(alert(0, area_id=NEIGHBOUR), alert(1), alert(2, area_id="cn:unknown"))
    await caught_up(room, log)
    county = Viewer("staff:county", frozenset(), (COUNTY,))
    assert await take(await follow(room, -1, county), 1) == [(1, ids(1)[0])]
    prefecture = Viewer("staff:prefecture", frozenset(), ("cn:3401",))
    got = await take(await follow(room, -1, prefecture), 2)
    assert [offset for offset, _ in got] == [0, 1]


async def test_a_client_overtaken_by_the_ring_is_dropped_and_can_resume(
    room: Room, log: FakeLog
) -> None:
    room.extras["ring"]._size = 3
    log.append(alert(0))
    await caught_up(room, log)
    stream = await follow(room, -1)
    assert await take(stream, 1) == [(0, ids(0)[0])]
    # It takes nothing while more arrives than the ring holds.
    log.append(*(alert(number) for number in range(1, 9)))
    await caught_up(room, log)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    resumed = await take(await follow(room, 0), 8)
    assert [offset for offset, _ in resumed] == list(range(1, 9))


async def test_a_stream_ends_rather_than_go_unrecorded(room: Room, log: FakeLog) -> None:
    log.append(alert(0))
    await caught_up(room, log)
    ledger = ledger_of(room)
    ledger._waiting = cast("Any", range(WAITING_MOST))
    stream = await follow(room, -1)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    ledger._waiting = []


async def test_each_version_sent_to_a_subject_stands_once_in_the_ledger(
    town: Town, room: Room, log: FakeLog
) -> None:
    await town.hear(breach("r"))
    await town.settle()
    opened = (await town.said_alerts())[0]
    log.append(opened)
    await caught_up(room, log)
    for _ in range(2):
        stream = await follow(room, -1)
        await take(stream, 1)
        # Asking for the next says that the one before was sent.
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
    rows: Sequence[Any] = []

    async def written() -> bool:
        nonlocal rows
        async with town.database.read() as session:
            rows = await list_deliveries(session, EVERYONE, alert_id=None, subject=None, limit=10)
        return bool(rows) and not ledger_of(room)._waiting

    await eventually(written)
    [row] = rows
    found: tuple[UUID, int, str, int] = (
        row.alert_id, row.alert_version, row.subject, row.log_offset
    )  # fmt: skip
    assert found == (opened.record_id, 1, EVERYONE.subject, 0)


def test_a_ring_drops_its_oldest() -> None:
    ring = AlertRing(size=2)
    ring.start(5)
    assert (ring.from_offset, ring.next_offset, ring.since(0)) == (5, 5, [])


async def test_a_stream_ends_when_its_key_or_session_no_longer_holds(
    room: Room, log: FakeLog
) -> None:
    holds = [True, True, False]

    async def still_may() -> bool:
        return holds.pop(0)

    await caught_up(room, log)
    stream = stream_alerts(room, EVERYONE, last_offset=None, still_may=still_may, idle_seconds=0.01)
    await anext(stream)
    assert [chunk async for chunk in stream] == []
    assert holds == []
