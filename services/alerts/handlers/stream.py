"""The alert stream: one tail of the log per process feeds every open stream of that process."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from sse_starlette.event import ServerSentEvent

from services.alerts.handlers.deliveries import delivery_row, ledger_of
from services.alerts.repository.areas import NamedLine, named_lines_of
from shared.access import EVERYWHERE, Viewer
from shared.bus.envelope import decode
from shared.bus.port import Delivered
from shared.errors import InvalidMessage
from shared.events.alerts import AlertChanged
from shared.log import logger
from shared.metrics import STREAM_VIEWERS
from shared.service import Room

LOG = logger("stream")
TOPIC = AlertChanged.topic
RING_SIZE = 2000
READ_MOST = 500
READ_WAIT_SECONDS = 1.0
# A stream ends now and then, so that no connection lives for ever; browsers come back themselves.
STREAM_SECONDS = 900.0
IDLE_SECONDS = 5.0
# How long an area that has moved may still be streamed to its old viewers.
LINES_SECONDS = 5.0
RETRY_MILLISECONDS = 1000


StillMay = Callable[[], Awaitable[bool]]


async def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class StreamedAlert:
    """One version of an alert, ready to be sent; `area_ids` are its area and everything above
    it."""

    offset: int
    alert_id: UUID
    version: int
    area_ids: frozenset[str]
    content: bytes

    def visible_to(self, viewer: Viewer) -> bool:
        return EVERYWHERE in viewer.area_ids or not self.area_ids.isdisjoint(viewer.area_ids)


class AlertRing:
    """The latest alerts of the log in memory, from `from_offset` to before `next_offset`."""

    def __init__(self, size: int = RING_SIZE) -> None:
        self._alerts: deque[StreamedAlert] = deque()
        self._size = size
        self._news = asyncio.Event()
        self.ready = asyncio.Event()
        self.from_offset = 0
        self.next_offset = 0
        # Area id: when it was read, and its line.
        self.lines: dict[str, tuple[float, NamedLine]] = {}

    def start(self, offset: int) -> None:
        """The log is followed from here on."""
        self.from_offset = self.next_offset = offset
        self.ready.set()

    def extend(self, alerts: Sequence[StreamedAlert], *, next_offset: int) -> None:
        self._alerts.extend(alerts)
        while len(self._alerts) > self._size:
            self.from_offset = self._alerts.popleft().offset + 1
        self.next_offset = next_offset
        self._news.set()
        self._news = asyncio.Event()

    def since(self, offset: int) -> list[StreamedAlert]:
        """Alerts at or after `offset`, oldest first."""
        found: list[StreamedAlert] = []
        for alert in reversed(self._alerts):
            if alert.offset < offset:
                break
            found.append(alert)
        return found[::-1]

    async def wait_for_news(self, *, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return


def ring_of(room: Room) -> AlertRing:
    """This process's ring; made when first asked for."""
    return cast(AlertRing, room.extras.setdefault("ring", AlertRing()))


async def follow_alerts(room: Room) -> None:
    """Background task: tails the alert topic into the ring, starting with what still fits into
    it."""
    ring = ring_of(room)
    if not ring.ready.is_set():
        ends = await room.bus.end_offsets(TOPIC)
        ring.start(max(0, ends.get(0, 0) - RING_SIZE))
    tail = await room.bus.tail(TOPIC, from_offset=ring.next_offset)
    try:
        while True:
            records = await tail.read(max_records=READ_MOST, wait_seconds=READ_WAIT_SECONDS)
            if records:
                alerts = await read_alerts(room, records)
                ring.extend(alerts, next_offset=records[-1].offset + 1)
    finally:
        await tail.close()


async def read_alerts(room: Room, records: Sequence[Delivered]) -> list[StreamedAlert]:
    """The alerts among these records, with the areas above each as they are known now."""
    events: list[tuple[int, AlertChanged]] = []
    for record in records:
        try:
            event = decode(record)
        except InvalidMessage as error:
            LOG.error("alert_not_readable", offset=record.offset, reason=error.detail)
            continue
        if isinstance(event, AlertChanged):
            events.append((record.offset, event))
    lines = await _lines(room, {event.area_id for _, event in events if event.area_id})
    return [_streamed(offset, event, lines) for offset, event in events]


async def _lines(room: Room, area_ids: set[str]) -> dict[str, NamedLine]:
    """From the memory of this process where it is fresh: a query for each alert would slow it."""
    known = ring_of(room).lines
    now = asyncio.get_running_loop().time()
    missing = {
        area_id
        for area_id in area_ids
        if area_id not in known or now - known[area_id][0] > LINES_SECONDS
    }
    if missing:
        async with room.database.read() as session:
            found = await named_lines_of(session, missing)
        known.update({area_id: (now, line) for area_id, line in found.items()})
    return {area_id: known[area_id][1] for area_id in area_ids if area_id in known}


def _streamed(offset: int, event: AlertChanged, lines: dict[str, NamedLine]) -> StreamedAlert:
    area_id = event.area_id or ""
    line = lines.get(area_id, NamedLine(frozenset({area_id}), "", ""))
    content: dict[str, Any] = event.model_dump(mode="json")
    content |= {"area_name": line.name, "area_name_en": line.name_en}
    message = ServerSentEvent(
        json.dumps(content, ensure_ascii=False, separators=(",", ":")),
        event="alert",
        id=str(offset),
    )
    return StreamedAlert(
        offset, event.record_id, event.record_version, line.area_ids, message.encode()
    )


async def stream_alerts(
    room: Room,
    viewer: Viewer,
    *,
    last_offset: int | None,
    still_may: StillMay = _always,
    idle_seconds: float = IDLE_SECONDS,
) -> AsyncIterator[bytes]:
    """Server-sent events for one viewer, from after `last_offset`, or from now on where it is None.

    Ends when the client has fallen behind the ring, when the ledger cannot take more, when
    `still_may` (asked every `idle_seconds`) says that the key or session no longer holds, or after
    a quarter of an hour; the client resumes with `Last-Event-ID`.
    """
    ring, ledger = ring_of(room), ledger_of(room)
    await ring.ready.wait()
    position = ring.next_offset if last_offset is None else last_offset + 1
    yield ServerSentEvent(retry=RETRY_MILLISECONDS, comment="alerts").encode()
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + STREAM_SECONDS
    ask_at = loop.time() + idle_seconds
    STREAM_VIEWERS.inc()
    try:
        if position < ring.from_offset:
            async for alert in _older(room, position):
                if alert.visible_to(viewer):
                    yield alert.content
                    ledger.record(_line(room, viewer, alert))
                position = alert.offset + 1
            position = max(position, min(ring.from_offset, ring.next_offset))
        # An id from a log that has since begun anew must not keep the stream silent.
        position = min(position, ring.next_offset)
        while position >= ring.from_offset and not ledger.full and loop.time() < ends_at:
            if loop.time() >= ask_at:
                if not await still_may():
                    return
                ask_at = loop.time() + idle_seconds
            alerts = ring.since(position)
            if not alerts:
                position = max(position, ring.next_offset)
                await ring.wait_for_news(seconds=idle_seconds)
            for alert in alerts:
                if alert.visible_to(viewer):
                    yield alert.content
                    ledger.record(_line(room, viewer, alert))
                position = alert.offset + 1
    finally:
        STREAM_VIEWERS.dec()


async def _older(room: Room, position: int) -> AsyncIterator[StreamedAlert]:
    """What the ring no longer holds, from the log itself, by a tail of this stream's own."""
    ring = ring_of(room)
    tail = await room.bus.tail(TOPIC, from_offset=position)
    try:
        while position < ring.from_offset:
            records = await tail.read(max_records=READ_MOST, wait_seconds=READ_WAIT_SECONDS)
            if not records:
                return
            for alert in await read_alerts(room, records):
                yield alert
            position = records[-1].offset + 1
    finally:
        await tail.close()


def _line(room: Room, viewer: Viewer, alert: StreamedAlert) -> dict[str, Any]:
    return delivery_row(
        room,
        alert_id=alert.alert_id,
        version=alert.version,
        subject=viewer.subject,
        offset=alert.offset,
    )
