"""Says facts to the alerts service as its consumers would, and reads what it says in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import Row

from services.alerts.app import service
from services.alerts.tables import alert, alert_signal, signal, standard
from shared.access import EVERYWHERE, Viewer
from shared.bus.envelope import decode
from shared.bus.port import Message
from shared.database.work import Actor, Database
from shared.delivery.due import DueLoop
from shared.delivery.faults import NoFaults
from shared.events.alerts import AlertChanged
from shared.events.base import Event, Evidence
from shared.events.intake import AreaChanged, ReportRecorded, ResultReported, ScanRecorded
from shared.events.quarantine import BreachChanged
from shared.events.tracing import CaseChanged, CoLocationChanged
from shared.ids import derived_id
from tests.unit.alerts.samples import START

EVERYONE = Viewer("staff:everywhere", frozenset(), (EVERYWHERE,))
COUNTY, TOWNSHIP, NEIGHBOUR = "cn:340102", "cn:340102001", "cn:340103"


def id_of(*parts: object) -> UUID:
    return derived_id("test", *parts)


def area(area_id: str, parent_id: str | None, level: str, *, version: int = 1) -> AreaChanged:
    return AreaChanged(
        record_id=id_of("area", area_id),
        record_version=version,
        occurred_at=START,
        recorded_at=START,
        area_id=area_id,
        parent_id=parent_id,
        level=level,
        name=f"area {area_id}",
    )


def areas() -> list[AreaChanged]:
    """Two counties of one prefecture, a township in the first; a prefecture without counties."""
    return [
        area("cn:34", None, "province"),
        area("cn:3401", "cn:34", "prefecture"),
        area(COUNTY, "cn:3401", "county"),
        area(TOWNSHIP, COUNTY, "township"),
        area(NEIGHBOUR, "cn:3401", "county"),
        area("cn:4419", "cn:34", "prefecture"),
        area("cn:441900003", "cn:4419", "township"),
    ]


def told(kind: str, code: str, *, hour: float, version: int) -> dict[str, Any]:
    return {
        "record_id": id_of(kind, code),
        "record_version": version,
        "occurred_at": START + timedelta(hours=hour),
        "recorded_at": START + timedelta(hours=hour, minutes=version),
    }


def report(
    code: str, kind: str, *, hour: float = 0, version: int = 1, **changes: Any
) -> ReportRecorded:
    """A fever report of a person of its own, at a place of its own, in the township."""
    known: dict[str, Any] = {
        "kind": kind,
        "place_id": id_of("place", code),
        "place_area_id": TOWNSHIP,
        "person_id": id_of("person", code),
        "fever": True,
        "source_id": id_of("source", code),
    }
    return ReportRecorded(**told("report", code, hour=hour, version=version), **(known | changes))


def three_reports() -> list[ReportRecorded]:
    return [
        report("a", "fever_clinic"),
        report("b", "pharmacy", hour=5),
        report("c", "school", hour=10),
    ]


def scan(code: str, *, fever: bool, version: int = 1, hour: float = 0) -> ScanRecorded:
    return ScanRecorded(
        **told("scan", code, hour=hour, version=version),
        person_id=id_of("person", code),
        place_id=id_of("place", "station"),
        place_area_id=COUNTY,
        fever=fever,
        source_id=id_of("source", "station"),
    )


def result(
    code: str, *, hour: float = 0, version: int = 1, status: str = "recorded"
) -> ResultReported:
    return ResultReported.model_validate(
        {
            **told("result", code, hour=hour, version=version),
            "person_id": id_of("person", code),
            "specimen_id": id_of("specimen", code),
            "disease": "covid19",
            "outcome": "positive",
            "reported_at": START,
            "area_id": COUNTY,
            "source_id": id_of("source", "laboratory"),
            "status": status,
        }
    )


def case(code: str, *, standing: bool, version: int) -> CaseChanged:
    person_id = id_of("person", code)
    return CaseChanged(
        record_id=derived_id("case", person_id, "covid19"),
        record_version=version,
        occurred_at=START,
        recorded_at=START,
        person_id=person_id,
        disease="covid19",
        classification="confirmed" if standing else "discarded",
        standing=standing,
        set_aside=() if standing else (Evidence(kind="result", id=result(code).record_id),),
        reason="evidence" if standing else "discarded by staff:1",
    )


def breach(code: str, *, standing: bool = True, version: int = 1) -> BreachChanged:
    return BreachChanged(
        **told("breach", code, hour=1, version=version),
        person_id=id_of("person", code),
        order_id=id_of("order", code),
        scan_id=id_of("scan", code),
        place_id=id_of("place", "mall"),
        area_id=COUNTY,
        standing=standing,
        reason="seen elsewhere",
    )


def co_location(
    code: str, *, of_case: str = "p", standing: bool = True, version: int = 1
) -> CoLocationChanged:
    """Somebody by this code was at the market while the case was there."""
    case_person_id = id_of("person", of_case)
    began_at = START + timedelta(hours=1)
    return CoLocationChanged(
        **told("co_location", code, hour=1, version=version),
        case_id=derived_id("case", case_person_id, "covid19"),
        case_person_id=case_person_id,
        person_id=id_of("person", code),
        visit_id=id_of("scan", code),
        place_id=id_of("place", "market"),
        area_id=COUNTY,
        disease="covid19",
        from_at=began_at,
        until_at=began_at + timedelta(minutes=20),
        minutes=20,
        standing=standing,
        reason="co_location: visit at market 20 min",
    )


HANDLERS = {
    event: handler for group in service.consumers for event, handler in group.handlers.items()
}


@dataclass
class Town:
    """Drives one service without a log: events in, evaluations, outbox out."""

    database: Database

    async def hear(self, *events: Event) -> None:
        """One transaction for these events, as one batch of a consumer."""
        by_type: dict[type[Event], list[Event]] = {}
        for event in events:
            by_type.setdefault(type(event), []).append(event)
        async with self.database.work(Actor("event:test")) as work:
            for event_type, batch in by_type.items():
                await HANDLERS[event_type](work, batch)

    def due_loop(self) -> DueLoop:
        return DueLoop(self.database, service.evaluators, faults=NoFaults())

    async def settle(self) -> None:
        loop = self.due_loop()
        for _ in range(1000):
            if not await loop.judge_once():
                assert await loop.waiting() == 0, "an evaluation failed"
                return
        raise AssertionError("the evaluators never came to rest")

    async def alerts(self) -> list[Row[Any]]:
        async with self.database.read() as session:
            rows = await session.execute(select(alert).order_by(alert.c.rule_id, alert.c.id))
            return list(rows.all())

    async def the_alert(self) -> Row[Any]:
        found = await self.alerts()
        assert len(found) == 1, found
        return found[0]

    async def state(self) -> dict[str, Any]:
        """What stands, without ids that are drawn and without recorded times."""
        async with self.database.read() as session:
            signals = (await session.execute(select(signal).where(signal.c.standing))).all()
            evidence = (
                await session.execute(
                    select(alert.c.rule_id, alert_signal.c.signal_id)
                    .join(alert_signal, alert_signal.c.alert_id == alert.c.id)
                    .where(alert.c.state != "withdrawn")
                )
            ).all()
        standing = [row for row in await self.alerts() if row.state != "withdrawn"]
        left_out = {"id", "record_version", "opened_at", "changed_at", "cause_id", "reason"}
        return {
            "signals": sorted((str(row.id), row.area_id, row.occurred_at) for row in signals),
            "evidence": sorted((row.rule_id, str(row.signal_id)) for row in evidence),
            "alerts": [
                {name: value for name, value in row._mapping.items() if name not in left_out}
                for row in standing
            ],
        }

    async def said(self) -> list[Event]:
        """Everything announced so far, in order."""
        outbox = standard.outbox
        async with self.database.read() as session:
            rows = (await session.execute(select(outbox).order_by(outbox.c.id))).all()
        messages = [
            Message(row.topic, row.partition, row.key, row.value, (("ce_type", type_of(row)),))
            for row in rows
        ]
        events: Sequence[Event | None] = [decode(message) for message in messages]
        return [event for event in events if event is not None]

    async def said_alerts(self) -> list[AlertChanged]:
        return [event for event in await self.said() if isinstance(event, AlertChanged)]


def type_of(row: Row[Any]) -> bytes:
    from shared.bus.headers import unpack_headers

    return dict(unpack_headers(row.headers))["ce_type"]
