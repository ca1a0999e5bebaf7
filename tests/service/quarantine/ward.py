"""One quarantine service on a real PostgreSQL, driven by hand: told events, judged, looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import URL, select
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.schema import CreateSchema

from services.quarantine.app import service
from services.quarantine.tables import breach, check, order, standard
from shared.bus.envelope import decode
from shared.bus.headers import unpack_headers
from shared.bus.port import Message
from shared.clock import ManualClock
from shared.database.work import Actor, Database
from shared.delivery.due import DueLoop
from shared.delivery.faults import NoFaults
from shared.delivery.timers import TimerLoop
from shared.events.base import Event
from shared.events.intake import AreaChanged, PersonChanged, ScanRecorded
from shared.events.tracing import CaseChanged, ContactChanged
from shared.ids import derived_id
from shared.policy import read_presets, store_policy

COUNTY = "cn:340102"
STATION = UUID("00000000-0000-7000-8000-0000000000aa")
HANDLERS = {
    event: handle for group in service.consumers for event, handle in group.handlers.items()
}


def on(day: int, hour: int = 12) -> datetime:
    """An instant of March 2021, UTC."""
    return datetime(2021, 3, day, hour, tzinfo=UTC)


class Ward:
    """A service with its clock; `second` is another process of it on the same database."""

    def __init__(self, url: URL, clock: ManualClock) -> None:
        self.url = url
        self.clock = clock
        self.engine = create_async_engine(url)
        self.database = Database(self.engine, service=service.name, tables=standard, clock=clock)
        self.due = DueLoop(self.database, service.evaluators, faults=NoFaults())
        self.timers = TimerLoop(self.database, service.timers)

    async def prepare(self) -> None:
        """The tables, as the runtime makes them."""
        async with self.engine.connect() as connection:
            await connection.execute(CreateSchema(service.name))
            await connection.run_sync(service.metadata.create_all)
            await connection.commit()

    async def store_presets(self) -> None:
        """The policies, active, as the runtime stores them at start."""
        async with self.database.work(Actor("command")) as work:
            for file in read_presets(service.folder / "presets", service.policies):
                await store_policy(work, standard, file, state="active")

    async def hear(self, *events: Event) -> None:
        """One batch as a consumer would apply it."""
        by_type: dict[type[Event], list[Event]] = {}
        for event in events:
            by_type.setdefault(type(event), []).append(event)
        async with self.database.work(Actor("event:quarantine.test")) as work:
            for event_type, batch in by_type.items():
                await HANDLERS[event_type](work, batch)

    async def judge(self) -> None:
        """Until nothing is due and no timer has come."""
        while await self.due.judge_once() or await self.timers.fire_once():
            pass

    async def due_kinds(self) -> list[str]:
        """What waits to be judged."""
        due = standard.due
        return [row["kind"] for row in await self._rows(select(due.c.kind).order_by(due.c.id))]

    async def tell(self, *events: Event) -> None:
        await self.hear(*events)
        await self.judge()

    async def move_to(self, at: datetime) -> None:
        self.clock.move_to(at)
        await self.judge()

    async def orders(self, person_id: UUID) -> list[Mapping[str, Any]]:
        return await self._rows(
            select(order).where(order.c.person_id == person_id).order_by(order.c.from_at)
        )

    async def breaches(self, person_id: UUID) -> list[Mapping[str, Any]]:
        return await self._rows(
            select(breach).where(breach.c.person_id == person_id).order_by(breach.c.occurred_at)
        )

    async def checks(self, person_id: UUID) -> list[Mapping[str, Any]]:
        return await self._rows(
            select(check).where(check.c.person_id == person_id).order_by(check.c.due_at)
        )

    async def audit(self, record_id: UUID) -> list[Mapping[str, Any]]:
        audit = standard.audit
        return await self._rows(
            select(audit).where(audit.c.record_id == str(record_id)).order_by(audit.c.id)
        )

    async def said(self, kind: type[Event], person_id: UUID | None = None) -> list[Any]:
        """What was announced of one type (about one person), in the order of writing."""
        rows = await self._rows(select(standard.outbox).order_by(standard.outbox.c.id))
        messages = [
            Message(
                topic=row["topic"],
                partition=row["partition"],
                key=row["key"],
                value=row["value"],
                headers=unpack_headers(row["headers"]),
            )
            for row in rows
        ]
        told: list[Any] = [one for one in map(decode, messages) if isinstance(one, kind)]
        return [one for one in told if person_id is None or one.person_id == person_id]

    async def _rows(self, statement: Any) -> list[Mapping[str, Any]]:
        async with self.database.read() as session:
            rows: Sequence[Any] = (await session.execute(statement)).all()
            return [dict(row._mapping) for row in rows]


@dataclass(frozen=True)
class Town:
    """Events about one person and the cases around them; a new town shares no id with another."""

    person_id: UUID

    @staticmethod
    def new() -> Town:
        return Town(uuid4())

    def case(self, name: str, *, version: int = 1, **changes: Any) -> CaseChanged:
        """`name` is the person who is the case; "self" makes the town's person one."""
        person_id = self.person_id if name == "self" else derived_id(name, self.person_id)
        reported_at = changes.pop("reported_at", on(10))
        content: dict[str, Any] = {
            "person_id": person_id,
            "disease": "covid19",
            "classification": "confirmed",
            "standing": True,
            "reported_at": reported_at,
            "area_id": COUNTY,
            "reason": "positive",
        }
        return CaseChanged(
            record_id=derived_id("case", person_id),
            record_version=version,
            occurred_at=reported_at,
            recorded_at=on(11),
            **(content | changes),
        )

    def contact(self, name: str, *, version: int = 1, **changes: Any) -> ContactChanged:
        case = self.case(name)
        last_at = changes.pop("last_exposure_at", on(8))
        content: dict[str, Any] = {
            "degree": "close_contact",
            "disease": "covid19",
            "minutes": 30.0,
            "standing": True,
            "first_exposure_at": last_at,
            "last_exposure_at": last_at,
            "reason": "visit",
        }
        return ContactChanged(
            record_id=derived_id("contact", case.record_id, self.person_id),
            record_version=version,
            case_id=case.record_id,
            case_person_id=case.person_id,
            person_id=self.person_id,
            occurred_at=last_at,
            recorded_at=on(11),
            **(content | changes),
        )

    def scan(self, name: str, at: datetime, *, version: int = 1, **changes: Any) -> ScanRecorded:
        content: dict[str, Any] = {
            "person_id": self.person_id,
            "place_id": STATION,
            "place_kind": "station",
            "place_area_id": COUNTY,
            "source_id": STATION,
        }
        return ScanRecorded(
            record_id=derived_id(name, self.person_id),
            record_version=version,
            occurred_at=at,
            recorded_at=on(11),
            **(content | changes),
        )

    def residence(self, area_id: str | None, *, version: int = 1) -> PersonChanged:
        return PersonChanged(
            record_id=self.person_id,
            record_version=version,
            occurred_at=on(1),
            recorded_at=on(1),
            person_id=self.person_id,
            residence_area_id=area_id,
        )


def area(area_id: str, zone: str, *, version: int = 1) -> AreaChanged:
    return AreaChanged(
        record_id=derived_id("area", area_id),
        record_version=version,
        occurred_at=on(1),
        recorded_at=on(1),
        area_id=area_id,
        level="county",
        zone=zone,
    )
