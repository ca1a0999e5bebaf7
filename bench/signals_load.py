"""The generator of reports, in a process of its own: `python -m bench.signals_load`, told what to
do in JSON on stdin. It puts them on the log at a steady rate, written as text: it must stay cheap.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass
from uuid import UUID

import uvloop
from sqlalchemy.ext.asyncio import create_async_engine

from bench.signals_town import KINDS, site_id, township_id
from shared.bus.embedded import EmbeddedBus
from shared.bus.envelope import partition_of
from shared.bus.headers import PackedHeaders, pack_headers
from shared.bus.port import Message
from shared.clock import real_now
from shared.events.intake import ReportRecorded
from shared.events.topics import TOPICS

TICK_SECONDS = 0.05
TOPIC = TOPICS[ReportRecorded.topic]
HEADERS = PackedHeaders(pack_headers([("ce_type", ReportRecorded.type.encode())]))


@dataclass(frozen=True, slots=True)
class Load:
    """`lit_share` of the reports are of fever: they light their point, the others are only
    counted."""

    url: str
    rate: int
    seconds: float
    townships: int
    lit_share: float
    run: int


@dataclass(slots=True)
class Sent:
    """What was sent, and how much of a processor it took."""

    reports: int = 0
    seconds: float = 0.0
    processor_seconds: float = 0.0


class Reports:
    """Messages as intake's relay sends them, of a random site each."""

    def __init__(self, load: Load) -> None:
        self._chosen = random.Random(load.run)
        self._load = load
        self._sites = [
            (kind, str(site_id(kind, number)), township_id(number))
            for kind in KINDS
            for number in range(load.townships)
        ]
        self._source = str(UUID(int=1))

    def next(self, at: str) -> Message:
        chosen = self._chosen
        record = UUID(int=chosen.getrandbits(128), version=4)
        kind, site, area = self._sites[int(chosen.random() * len(self._sites))]
        fever = ',"fever":true' if chosen.random() < self._load.lit_share else ""
        value = (
            f'{{"record_id":"{record}","record_version":1,"occurred_at":"{at}",'
            f'"recorded_at":"{at}",'
            f'"kind":"{kind}","place_id":"{site}","place_area_id":"{area}"{fever},'
            f'"source_id":"{self._source}"}}'
        )
        return Message(
            TOPIC.name, partition_of(record, TOPIC.partitions), record.bytes, value.encode(),
            HEADERS,
        )  # fmt: skip


async def send(load: Load) -> Sent:
    engine = create_async_engine(load.url)
    bus = EmbeddedBus(engine)
    await bus.start()
    publisher, reports, sent = await bus.publisher("bench"), Reports(load), Sent()
    used, started = time.process_time(), time.perf_counter()
    while (passed := time.perf_counter() - started) < load.seconds:
        wanted = int(passed * load.rate) - sent.reports
        at = real_now().isoformat()
        await publisher.publish([reports.next(at) for _ in range(wanted)])
        sent.reports += wanted
        spent = time.perf_counter() - started - passed
        await asyncio.sleep(max(TICK_SECONDS - spent, 0.001))
    sent.seconds = time.perf_counter() - started
    sent.processor_seconds = time.process_time() - used
    await bus.stop()
    await engine.dispose()
    return sent


def main() -> None:
    json.dump(asdict(uvloop.run(send(Load(**json.load(sys.stdin))))), sys.stdout)


if __name__ == "__main__":
    main()
