"""What people can see at the end of a walk, with stable names in the place of ids.

Two runs of one walk are compared by this: everything that the doors tell, without versions and
without the moments at which something was recorded, and with every id replaced by a name that the
walk knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.journey.harness import Outpost

UUID_TEXT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SHORT_TEXT = re.compile(r"(?<![0-9a-f-])[0-9a-f]{8}(?![0-9a-f-])")
# How often and when something was written down differs from run to run, what it says must not.
WRITTEN_DOWN = frozenset(
    ("version", "record_version", "fact_version", "scan_version", "recorded_at", "changed_at",
     "opened_at", "at")
)  # fmt: skip

Record = dict[str, Any]
EndState = dict[str, list[Record]]


class Names:
    """Stable names of records; an id that nobody named becomes `?`."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = dict(known)

    def add(self, record_id: str, name: str) -> None:
        self._known.setdefault(record_id, name)

    def of(self, record_id: str | None) -> str:
        return self._known.get(record_id or "", "?")

    def plain(self, value: Any) -> Any:
        """Without versions and ids, lists in one order; of a cause only that it is told."""
        if isinstance(value, dict):
            return {
                key: (item is not None) if key == "cause_id" else self.plain(item)
                for key, item in value.items()
                if key not in WRITTEN_DOWN
            }
        if isinstance(value, list):
            return sorted((self.plain(item) for item in value), key=spell)
        if isinstance(value, str):
            whole = UUID_TEXT.sub(lambda found: f"<{self.of(found[0])}>", value)
            return SHORT_TEXT.sub(lambda found: f"<{self._short(found[0])}>", whole)
        return value

    def _short(self, start: str) -> str:
        return next((name for key, name in self._known.items() if key.startswith(start)), start)


def spell(value: Any) -> str:
    """One spelling of a plain value, to sort by."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def differences(left: EndState, right: EndState) -> list[str]:
    """What one state has and the other has not, one line each; empty when they are the same.

    Only `right` may have more withdrawn records: conclusions that were drawn before everything was
    known, and were taken back, are the history of that run and not its end.
    """
    found: list[str] = []
    for part in sorted(left.keys() | right.keys()):
        ours = sorted(map(spell, left.get(part, [])))
        theirs = sorted(map(spell, right.get(part, [])))
        history = {spell(record) for record in right.get(part, []) if was_withdrawn(record)}
        found.extend(
            f"{part} {ours.count(line)}:{theirs.count(line)} {line}"
            for line in sorted(set(ours) | set(theirs))
            if ours.count(line) != theirs.count(line)
            and not (line in history and theirs.count(line) > ours.count(line))
        )
    return found


def was_withdrawn(record: Record) -> bool:
    status = record.get("status", record.get("state"))
    return record.get("standing") is False or status == "withdrawn"


async def read_end_state(outpost: Outpost, *, in_full: bool = True) -> EndState:
    """Everything that a viewer of all areas can read, except what arrival decides by nature: the
    balance (a repeat is counted) and the verdicts at the door. Not `in_full`: as the lists tell it,
    for walks with hundreds of cases."""
    names = Names(outpost.names)
    cases = await outpost.pages("/tracing/cases", "cases")
    for case in cases:
        names.add(case["id"], f"case of {names.of(case['person_id'])}")
    contacts = [
        contact | {"case_id": case["id"]}
        for case in cases
        for contact in await outpost.pages(f"/tracing/cases/{case['id']}/contacts", "contacts")
    ]
    for one in contacts:
        names.add(one["id"], f"contact {names.of(one['person_id'])} of {names.of(one['case_id'])}")
    orders = await outpost.follow("/quarantine/orders", "orders")
    for order in orders:
        names.add(order["id"], f"{order['kind']} of {names.of(order['person_id'])}")
    breaches = await outpost.follow("/quarantine/breaches", "breaches")
    for breach in breaches:
        names.add(breach["id"], f"breach {names.of(breach['scan_id'])}")
    together = [
        one | {"case_id": case["id"]}
        for case in cases
        for one in await outpost.pages(f"/tracing/cases/{case['id']}/co-locations", "co_locations")
    ]
    for one in together:
        who, where = names.of(one["person_id"]), names.of(one["visit_id"])
        names.add(one["id"], f"co-location {who} by {where} with {names.of(one['case_id'])}")
    signals = await read_signals(outpost)
    for signal in signals:
        names.add(signal["id"], f"signal {names.of(signal['record_id'])} {signal['point_kind']}")
    alerts = await outpost.follow("/alerts/alerts", "alerts", cursor="before")
    if in_full:
        cases = await _in_full(outpost, "/tracing/cases", cases)
        orders = await _in_full(outpost, "/quarantine/orders", orders)
        alerts = await _in_full(outpost, "/alerts/alerts", alerts)
    found: EndState = {
        "cases": cases,
        "contacts": contacts,
        "co_locations": together,
        "orders": [_without(order, "audit", "breaches", "checks", "cause_id") for order in orders],
        "breaches": breaches,
        "checks": await outpost.follow("/quarantine/checks", "checks"),
        "signals": signals,
        "alerts": [_without(alert, "trail", "reason") for alert in alerts],
        "links": await outpost.read("/tracing/links"),
    }
    return {part: sorted(map(names.plain, rows), key=spell) for part, rows in found.items()}


async def read_signals(outpost: Outpost) -> list[Record]:
    """Signals that stand and signals that do not."""
    found: list[Record] = []
    for standing in ("true", "false"):
        answer = await outpost.read("/alerts/signals", standing=standing, limit=1000)
        assert len(answer["signals"]) < 1000, "one page holds every signal of a walk"
        found.extend(answer["signals"])
    return found


async def _in_full(outpost: Outpost, path: str, records: list[Record]) -> list[Record]:
    return [await outpost.read(f"{path}/{record['id']}") for record in records]


def _without(record: Record, *keys: str) -> Record:
    return {key: item for key, item in record.items() if key not in keys}
