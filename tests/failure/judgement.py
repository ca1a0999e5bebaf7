"""Is everything there once? By the ledger, the balance, the tables, the log, and the end state."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from services.__main__ import SERVICES
from shared.bus.port import Bus, Delivered, Partition
from shared.clock import ManualClock
from shared.events.topics import TOPICS
from shared.ids import new_id
from tests.eventually import eventually
from tests.failure.ground import Ground
from tests.failure.journal import HEARD, Entry
from tests.failure.ledger import Ledger, Sender
from tests.journey.end_state import EndState, differences, read_end_state
from tests.journey.harness import Outpost

TABLES = {"scans": "scan", "reports": "report", "results": "result"}
# One row each where people see one thing. Every line: schema.table, what tells two of it apart.
ONLY_ONCE = (
    ("tracing.case", "person_id, disease"),
    ("tracing.contact", "case_id, person_id"),
    ("tracing.co_location", "case_id, place_id, visit_id, person_id"),
    ("tracing.visit", "id"),
    ("quarantine.quarantine_order", "person_id, kind"),
    ("quarantine.breach", "scan_id, order_id"),
    ("alerts.signal", "record_id, point_kind"),
    ("alerts.alert", "rule_id, area_id"),
)


async def read_everything(ground: Ground, sender: Sender, at: datetime) -> EndState:
    """The end state that people see."""
    key = sender.headers()
    sender.client.headers.update(key)
    outpost = Outpost(
        SERVICES, ground.databases, ground.bus, ground.url,
        {service.name: itertools.repeat(sender.client) for service in SERVICES},
        ManualClock(at), names=sender.ledger.names,
    )  # fmt: skip
    return await read_end_state(outpost)


async def check_balance(sender: Sender) -> None:
    """received = stored + duplicate + rejected, and each of them what the ledger says."""
    response = await sender.client.get("/intake/balance", headers=sender.headers())
    assert response.status_code == 200, response.text
    balance, ledger = response.json(), sender.ledger
    assert balance["balanced"], balance
    assert len({line["day"] for line in balance["lines"]}) == 1, "the clock stands still"
    lines = {(line["source_name"], line["door"]): line for line in balance["lines"]}
    assert lines.keys() == ledger.answered.keys()
    for account, line in lines.items():
        told = line["stored"] + line["duplicate"] + line["rejected"]
        assert line["received"] == told, account
        # Who got no answer does not know whether the request was counted.
        assert ledger.answered[account] <= line["received"] <= ledger.sent[account], account
        assert line["stored"] == len(ledger.stored[account]), account
        assert line["rejected"] >= len(ledger.rejected.get(account, ())), account


async def check_rows(ground: Ground, ledger: Ledger) -> None:
    """Every acknowledged row stands in its table once, and nothing else does."""
    expected: dict[str, Counter[tuple[str, int]]] = defaultdict(Counter)
    for (_, door), acknowledged in ledger.stored.items():
        expected[door].update(acknowledged.keys())
    assert set(expected) == {*TABLES, "hl7v2"}
    for door, table in TABLES.items():
        rows = await ground.rows(f"SELECT external_id, revision FROM intake.{table}")
        assert Counter((row[0], row[1]) for row in rows) == expected[door], door
    messages = await ground.rows("SELECT control_id FROM intake.message")
    assert Counter((row[0], 1) for row in messages) == expected["hl7v2"]


async def check_once(ground: Ground) -> None:
    """Nothing is twice in effect, and no table that is looked at is empty."""
    for table, identity in ONLY_ONCE:
        rows = await ground.rows(f"SELECT {identity}, count(*) FROM {table} GROUP BY {identity}")
        assert rows, f"{table} is empty: this walk shows nothing"
        assert [row for row in rows if row[-1] > 1] == [], table


async def read_log(bus: Bus) -> list[Delivered]:
    """Every record of every topic of the language, in a group that nobody else is in."""
    topics = [topic.name for topic in TOPICS.values()]
    ends: dict[Partition, int] = {}
    for topic in topics:
        for number, end in (await bus.end_offsets(topic)).items():
            if end:
                ends[Partition(topic, number)] = end
    consumer = await bus.consumer(f"failure.{new_id()}", topics)
    found: list[Delivered] = []

    async def at_the_end() -> bool:
        found.extend(await consumer.poll(max_records=500, wait_seconds=0.5))
        for record in found:
            place = Partition(record.topic, record.partition)
            if record.offset + 1 >= ends.get(place, 0):
                ends.pop(place, None)
        return not ends

    await eventually(at_the_end, within_seconds=60.0)
    await consumer.close()
    return found


def event_ids(records: Iterable[Delivered]) -> Counter[str]:
    return Counter(dict(record.headers)["ce_id"].decode() for record in records)


def check_repeats_agree(records: Iterable[Delivered]) -> None:
    """An event that is on the log twice says the same thing twice."""
    said: dict[str, set[bytes]] = defaultdict(set)
    for record in records:
        said[dict(record.headers)["ce_id"].decode()].add(record.value)
    assert [event_id for event_id, values in said.items() if len(values) > 1] == []


def heard_by(entries: Iterable[Entry], group: str) -> dict[str, set[int]]:
    """Which processes applied each event of a group."""
    found: dict[str, set[int]] = defaultdict(set)
    for entry in entries:
        if entry.kind == HEARD and entry.subject == group:
            for event_id in entry.event_ids:
                found[event_id].add(entry.process_id)
    return found


def heard_often(entries: Iterable[Entry]) -> Counter[tuple[str, str]]:
    """How often each (group, event) was applied."""
    found: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        if entry.kind == HEARD:
            found.update((entry.subject, event_id) for event_id in entry.event_ids)
    return found


async def judge(ground: Ground, sender: Sender, reference: EndState, at: datetime) -> Any:
    """Everything together; returns the records of the log for who wants to look further."""
    await check_balance(sender)
    await check_rows(ground, sender.ledger)
    await check_once(ground)
    records = await read_log(ground.bus)
    check_repeats_agree(records)
    found = await read_everything(ground, sender, at)
    other = differences(reference, found)
    assert other == [], "expected : found\n" + "\n".join(other)
    return records
