"""One tracing service on a real PostgreSQL, driven by hand: told events, judged, looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import URL, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.schema import CreateSchema

from services.tracing.app import service
from services.tracing.repository.cases import case_id_of
from services.tracing.tables import decisions, facts, standard
from shared.bus.envelope import decode
from shared.bus.headers import unpack_headers
from shared.bus.port import Message
from shared.clock import ManualClock
from shared.database.work import Actor, Database
from shared.delivery.due import DueLoop
from shared.delivery.faults import NoFaults
from shared.events.base import Event
from shared.events.intake import (
    AreaChanged,
    CaseDeclared,
    Declared,
    EncounterMeasured,
    LinkDeclared,
    MembershipDeclared,
    PersonChanged,
    PlaceChanged,
    ResultReported,
    ScanRecorded,
)
from shared.events.quarantine import OrderChanged, Support
from shared.ids import derived_id
from shared.policy import read_presets, store_policy

DISEASE = "covid19"
COUNTY = "cn:340102"
SOURCE = UUID("00000000-0000-7000-8000-0000000000bb")
HANDLERS = {
    event: handle for group in service.consumers for event, handle in group.handlers.items()
}
NOW = datetime(2021, 3, 11, 12, tzinfo=UTC)


def id_of(name: str) -> UUID:
    """A person, place or record by a name that only the test knows."""
    return derived_id("desk", name)


class Desk:
    """A service with its clock on a database of its own."""

    def __init__(self, url: URL) -> None:
        self.clock = ManualClock(NOW)
        self.engine = create_async_engine(url)
        self.database = Database(
            self.engine, service=service.name, tables=standard, clock=self.clock
        )
        self.due = DueLoop(self.database, service.evaluators, faults=NoFaults())

    async def prepare(self) -> None:
        """Tables and presets, as the runtime makes them."""
        async with self.engine.connect() as connection:
            await connection.execute(CreateSchema(service.name))
            await connection.run_sync(service.metadata.create_all)
            await connection.commit()
        await self.load_presets()

    async def load_presets(self) -> None:
        async with self.database.work(Actor("command")) as work:
            for file in read_presets(service.folder / "presets", service.policies):
                await store_policy(work, standard, file, state="active")

    async def clear(self) -> None:
        """As at the start, without making the tables again."""
        names = ", ".join(f'tracing."{table.name}"' for table in service.metadata.sorted_tables)
        async with self.database.work(Actor("test")) as work:
            await work.execute(text(f"TRUNCATE {names}"))
        self.database.kept.clear()
        await self.load_presets()

    async def hear(self, *events: Event) -> None:
        """One batch as a consumer would apply it."""
        by_type: dict[type[Event], list[Event]] = {}
        for event in events:
            by_type.setdefault(type(event), []).append(event)
        async with self.database.work(Actor("event:tracing.test")) as work:
            for event_type, batch in by_type.items():
                await HANDLERS[event_type](work, batch)

    async def judge(self) -> int:
        """Until nothing is due; how many turns it took."""
        turns = 0
        while await self.due.judge_once():
            turns += 1
            assert turns < 2_000, "the evaluators wake one another for ever"
        rows = await self.rows(select(standard.due))
        assert rows == [], "an evaluation failed and waits"
        return turns

    async def tell(self, *events: Event) -> None:
        await self.hear(*events)
        await self.judge()

    async def case(self, name: str, disease: str = DISEASE) -> Mapping[str, Any]:
        table = decisions.case
        case_id = case_id_of(id_of(name), disease)
        found = await self.rows(select(table).where(table.c.id == case_id))
        assert found, f"{name} is no case"
        return found[0]

    async def contacts(
        self, name: str, disease: str = DISEASE, *, standing: bool = True
    ) -> dict[UUID, Mapping[str, Any]]:
        """Contacts of a person's case, by person."""
        return await self.contacts_of(id_of(name), disease, standing=standing)

    async def contacts_of(
        self, person_id: UUID, disease: str = DISEASE, *, standing: bool = True
    ) -> dict[UUID, Mapping[str, Any]]:
        table = decisions.contact
        rows = await self.rows(
            select(table).where(
                table.c.case_id == case_id_of(person_id, disease),
                table.c.standing.is_(standing),
            )
        )
        return {row["person_id"]: row for row in rows}

    async def co_locations(
        self, name: str, disease: str = DISEASE, *, standing: bool | None = True
    ) -> dict[UUID, Mapping[str, Any]]:
        """Co-locations with a person's case, by the visit of the other."""
        table = decisions.co_location
        wanted = [table.c.case_id == case_id_of(id_of(name), disease)]
        if standing is not None:
            wanted.append(table.c.standing.is_(standing))
        rows = await self.rows(select(table).where(*wanted).order_by(table.c.from_at))
        return {row["visit_id"]: row for row in rows}

    async def audit(self, record_id: UUID) -> list[Mapping[str, Any]]:
        audit = standard.audit
        return await self.rows(
            select(audit).where(audit.c.record_id == str(record_id)).order_by(audit.c.id)
        )

    async def said(self, kind: type[Event]) -> list[Any]:
        """What was announced of one type, in the order in which it was written."""
        rows = await self.rows(select(standard.outbox).order_by(standard.outbox.c.id))
        messages = [
            Message(
                topic=row["topic"], partition=row["partition"], key=row["key"],
                value=row["value"], headers=unpack_headers(row["headers"]),
            )
            for row in rows
        ]  # fmt: skip
        return [event for event in map(decode, messages) if isinstance(event, kind)]

    async def count(self, name: str) -> int:
        table = getattr(facts, name, None)
        chosen = table if table is not None else getattr(decisions, name)
        return len(await self.rows(select(chosen)))

    async def rows(self, statement: Any) -> list[Mapping[str, Any]]:
        async with self.database.read() as session:
            found: Sequence[Any] = (await session.execute(statement)).all()
            return [dict(row._mapping) for row in found]


def _record(name: str, version: int, at: datetime) -> dict[str, Any]:
    return {
        "record_id": id_of(name), "record_version": version, "occurred_at": at, "recorded_at": NOW,
    }  # fmt: skip


def scan(
    name: str, person: str, place: str, at: datetime, *, version: int = 1, **more: Any
) -> ScanRecorded:
    """`name` is the record's; more: `left_at`, `place_kind`, `status` …"""
    return ScanRecorded(
        **_record(name, version, at), person_id=id_of(person), place_id=id_of(place),
        source_id=SOURCE, **more,
    )  # fmt: skip


def place(name: str, kind: str, *, version: int = 1) -> PlaceChanged:
    return PlaceChanged(**_record(name, version, NOW), kind=kind, area_id=COUNTY)


def encounter(
    name: str, persons: tuple[str, str], at: datetime, *, minutes: float, version: int = 1,
    **more: Any,
) -> EncounterMeasured:  # fmt: skip
    return EncounterMeasured(
        **_record(name, version, at), person_id=id_of(persons[0]),
        other_person_id=id_of(persons[1]), duration_seconds=round(minutes * 60),
        source_id=SOURCE, **more,
    )  # fmt: skip


def membership(
    name: str, person: str, group: str, at: datetime, *, version: int = 1, **more: Any
) -> MembershipDeclared:
    content: dict[str, Any] = {"group_kind": "household"} | more
    return MembershipDeclared(
        **_record(name, version, at), person_id=id_of(person), group_id=id_of(group),
        declared=Declared(source_id=SOURCE), **content,
    )  # fmt: skip


def link(
    name: str, source: str, other: str, at: datetime | None, *, version: int = 1, **more: Any
) -> LinkDeclared:
    content: dict[str, Any] = {"disease": DISEASE} | more
    return LinkDeclared(
        **_record(name, version, at or NOW), person_id=id_of(source), other_person_id=id_of(other),
        exposed_at=at, declared=Declared(source_id=SOURCE), **content,
    )  # fmt: skip


def declared(
    name: str, person: str, onset: date | None, *, version: int = 1, **more: Any
) -> CaseDeclared:
    content: dict[str, Any] = {
        "disease": DISEASE, "classification": "confirmed", "area_id": COUNTY,
        "reported_date": date(2021, 3, 10),
    } | more  # fmt: skip
    return CaseDeclared(
        **_record(name, version, NOW), person_id=id_of(person), onset_date=onset,
        declared=Declared(source_id=SOURCE), **content,
    )  # fmt: skip


def result(
    name: str, person: str, at: datetime, *, outcome: Any = "positive", version: int = 1,
    **more: Any,
) -> ResultReported:  # fmt: skip
    content: dict[str, Any] = {
        "disease": DISEASE, "reported_at": at, "specimen_id": id_of(f"specimen of {name}"),
        "area_id": COUNTY,
    } | more  # fmt: skip
    return ResultReported(
        **_record(name, version, at), person_id=id_of(person), outcome=outcome, source_id=SOURCE,
        **content,
    )  # fmt: skip


def order(
    name: str, person: str, times: Sequence[tuple[datetime, datetime]], *, version: int = 1,
    degree: str = "close_contact", status: Any = "open",
) -> OrderChanged:  # fmt: skip
    """An order on a person, resting on a contact for each of these times."""
    return OrderChanged(
        **_record(name, version, times[0][0]), person_id=id_of(person), kind="quarantine",
        measure="central", status=status, from_at=times[0][0], until_at=times[0][1],
        supports=tuple(
            Support(kind="contact", id=id_of(f"{name}{n}"), degree=degree, from_at=a, until_at=b)
            for n, (a, b) in enumerate(times)
        ),
        reason="test",
    )  # fmt: skip


def area(zone: str, *, version: int = 1) -> AreaChanged:
    return AreaChanged(**_record("area", version, NOW), area_id=COUNTY, level="county", zone=zone)


def person(name: str, residence: str | None, *, version: int = 1) -> PersonChanged:
    return PersonChanged(
        **(_record("", version, NOW) | {"record_id": id_of(name)}), person_id=id_of(name),
        residence_area_id=residence,
    )  # fmt: skip
