"""The generator of scans, in a process of its own: `python -m bench.scan_load`, told what to do in
JSON on stdin, answering in JSON on stdout.

A closed loop: each connection sends its next batch when the last one was answered.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from dataclasses import asdict, dataclass, field

import uvloop

from bench.town import SCHEME, Town, number_of
from bench.wire import Link
from shared.clock import real_now

BATCH = 100
STORED = re.compile(rb'"stored":(\d+)')
VERDICTS = ("pass", "check", "hold")
# Most people show a card or a code of their own; some gates read our own id.
SHARE_BY_ID, SHARE_UNKNOWN, SHARE_NOBODY, SHARE_FEVER = 0.25, 0.005, 0.005, 0.005


@dataclass(frozen=True, slots=True)
class Order:
    """What to send, where, how long, over how many connections."""

    port: int
    path: str
    seconds: float
    connections: int
    stations: int
    persons: int
    keys: list[str]
    run: str = "a"


@dataclass(slots=True)
class Outcome:
    """What came back. `batch_seconds` are of answered batches, waiting for the answer included."""

    seconds: float = 0.0
    rows: int = 0
    refused: int = 0
    verdicts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VERDICTS, 0))
    batch_seconds: list[float] = field(default_factory=list)
    sample: str = ""


class Batches:
    """Bodies of 100 scans, a station's in turn. Written as text: the generator must stay cheap."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._chosen = random.Random(order.run)
        self._ids = [str(one) for one in Town(persons=order.persons).person_ids]
        self._number = 0

    def next(self) -> tuple[str, bytes]:
        """A station's key and what it sends."""
        self._number += 1
        station = self._number % self._order.stations
        at = real_now().isoformat()
        rows = ",".join(self._row(station, position, at) for position in range(BATCH))
        return self._order.keys[station], f"[{rows}]".encode()

    def _row(self, station: int, position: int, at: str) -> str:
        chosen = self._chosen.random
        person = int(chosen() * self._order.persons)
        kind = chosen()
        if kind < SHARE_BY_ID:
            who = f',"person":{{"person_id":"{self._ids[person]}"}}'
        elif kind < SHARE_BY_ID + SHARE_UNKNOWN:
            unknown = f"U{self._order.run}{self._number}-{position}"
            who = f',"person":{{"scheme":"{SCHEME}","value":"{unknown}"}}'
        elif kind < SHARE_BY_ID + SHARE_UNKNOWN + SHARE_NOBODY:
            who = ""
        else:
            who = f',"person":{{"scheme":"{SCHEME}","value":"{number_of(person)}"}}'
        celsius = 38.2 if chosen() < SHARE_FEVER else 36.0 + round(chosen(), 1)
        return (
            f'{{"external_id":"{self._order.run}-{self._number}-{position}","occurred_at":"{at}",'
            f'"place":{{"code":"bench-{station}"}}{who},"temperature_c":{celsius}}}'
        )


async def send_batches(link: Link, batches: Batches, order: Order, outcome: Outcome) -> None:
    ends_at = time.perf_counter() + order.seconds
    while (started := time.perf_counter()) < ends_at:
        key, body = batches.next()
        started = time.perf_counter()
        answer = await link.post(order.path, body, key=key)
        outcome.batch_seconds.append(time.perf_counter() - started)
        stored = STORED.search(answer.body[:200])
        if answer.status != 202 or stored is None:
            outcome.refused += 1
            outcome.sample = answer.body[:300].decode(errors="replace")
            continue
        outcome.rows += int(stored[1])
        for verdict in VERDICTS:
            outcome.verdicts[verdict] += answer.body.count(f'"verdict":"{verdict}"'.encode())


async def run(order: Order) -> Outcome:
    batches, outcome = Batches(order), Outcome()
    links = [await Link.open("127.0.0.1", order.port) for _ in range(order.connections)]
    started = time.perf_counter()
    await asyncio.gather(*(send_batches(link, batches, order, outcome) for link in links))
    outcome.seconds = time.perf_counter() - started
    for link in links:
        link.close()
    return outcome


def main() -> None:
    order = Order(**json.load(sys.stdin))
    json.dump(asdict(uvloop.run(run(order))), sys.stdout)


if __name__ == "__main__":
    main()
