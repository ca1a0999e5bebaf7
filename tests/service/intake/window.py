"""Intake as its senders meet it: HTTP on a real PostgreSQL, with everything around it handed in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID

import httpx
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from services.intake import app
from services.intake.app import service
from services.intake.domain.vault import Vault
from services.intake.tables import metadata, standard
from shared.access import EVERYWHERE, Viewer
from shared.bus.envelope import decode
from shared.bus.headers import unpack_headers
from shared.bus.port import Delivered
from shared.clock import ManualClock
from shared.database.work import Actor, Database
from shared.events.base import Event
from shared.http import build_app
from shared.ids import new_id
from shared.policy import read_presets, store_policy
from shared.service import Room
from shared.settings import Settings

NOON = datetime(2021, 3, 11, 12, tzinfo=UTC)
COUNTY, CITY = "cn:340102", "cn:340100"
WRITE = ("scans", "reports", "encounters", "memberships", "results", "hl7v2", "lists", "messages")
REGISTER = ("sources", "places", "persons", "areas")
READ = (*REGISTER, "messages", "findings", "balance", "rejections")
PERMISSIONS = frozenset(
    [f"{noun}.write" for noun in (*WRITE, *REGISTER)] + [f"{noun}.read" for noun in READ]
)
AnyEvent = TypeVar("AnyEvent", bound=Event)


class Watch:
    """A freshness that says what it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def stale_seconds(self, purpose: str) -> float:
        assert purpose == "copies"
        return self.seconds


class Gate:
    """Credentials handed in: whoever stands here is the viewer."""

    def __init__(self) -> None:
        self.viewer: Viewer | None = None

    async def of_headers(self, _: object) -> Viewer | None:
        return self.viewer


class Intake:
    """One process of intake, its doors and what it has said so far."""

    def __init__(self, url: URL, clock: ManualClock) -> None:
        self.url, self.clock = url, clock
        self.engine: AsyncEngine = create_async_engine(url, pool_size=8)
        self.database = Database(self.engine, service="intake", tables=standard, clock=clock)
        self.watch, self.gate = Watch(), Gate()
        self.vault = Vault({1: bytes(range(32))})
        absent = cast("Any", None)
        self.room = Room(
            name="intake",
            database=self.database,
            bus=absent,
            clock=clock,
            settings=Settings(),
            freshness=self.watch,
            extras={"vault": self.vault},
        )
        transport = httpx.ASGITransport(
            app=build_app(service, self.room, cast("Any", self.gate)), raise_app_exceptions=False
        )
        self.client = httpx.AsyncClient(transport=transport, base_url="http://intake")
        self.staff()

    async def prepare(self) -> None:
        """Tables and preset policies."""
        async with self.engine.begin() as connection:
            await connection.execute(text("CREATE SCHEMA intake"))
            await connection.run_sync(metadata.create_all)
        async with self.database.work(Actor("command")) as work:
            for file in read_presets(Path(app.__file__).parent / "presets", service.policies):
                await store_policy(work, standard, file, state="active")

    async def close(self) -> None:
        await self.client.aclose()
        await self.engine.dispose()

    # ── who stands at the door ──

    def staff(self, *extra: str, areas: Sequence[str] = (EVERYWHERE,)) -> None:
        self.gate.viewer = Viewer("staff:1", PERMISSIONS | set(extra), tuple(areas))

    def sender(self, source_id: UUID | str | None, name: str = "client:1") -> None:
        known = UUID(str(source_id)) if source_id else None
        self.gate.viewer = Viewer(name, PERMISSIONS, (EVERYWHERE,), known)

    # ── what is registered ──

    async def told(self, path: str, content: Any) -> Any:
        answer = await self.client.post(f"/intake/{path}", json=content)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def add_areas(self) -> None:
        await self.told(
            "areas",
            [
                {"area_id": COUNTY, "level": "county", "name": "瑶海区", "parent_id": CITY},
                {"area_id": CITY, "level": "prefecture", "name": "合肥市"},
            ],
        )

    async def add_source(self, name: str, kind: str = "checkpoint", **facts: Any) -> str:
        """A source at a place of its own in the county."""
        place = {"code": f"{name}-place", "kind": kind, "area_id": facts.pop("area_id", COUNTY)}
        await self.told("places", place)
        source = {"name": name, "kind": kind, "place_code": place["code"], **facts}
        return str((await self.told("sources", source))["source_id"])

    async def add_person(self, value: str, **facts: Any) -> str:
        person = {
            "residence_area_id": COUNTY,
            "identifiers": [{"scheme": "id", "value": value}],
            **facts,
        }
        return str((await self.told("persons", person))[0]["person_id"])

    # ── what is sent and said ──

    async def post(self, path: str, rows: Any) -> Any:
        answer = await self.client.post(f"/intake/{path}", json=rows)
        assert answer.status_code == 202, answer.text
        return answer.json()

    async def hl7(self, body: bytes) -> bytes:
        answer = await self.client.post("/intake/hl7v2", content=body)
        assert answer.status_code == 200, answer.text
        return answer.content

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.client.get(f"/intake/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def hear(self, *events: Event) -> None:
        (group,) = service.consumers
        for event in events:
            async with self.database.work(Actor("event:intake.copies")) as work:
                await group.handlers[type(event)](work, [event])

    async def said(self, kind: type[AnyEvent]) -> list[AnyEvent]:
        """Everything of one type that stands in the outbox, oldest first."""
        found = []
        async with self.engine.connect() as connection:
            rows = await connection.execute(text("SELECT * FROM intake.outbox ORDER BY id"))
        for row in rows:
            record = Delivered(
                topic=row.topic,
                partition=row.partition,
                key=bytes(row.key),
                value=bytes(row.value),
                headers=unpack_headers(row.headers),
                offset=row.id,
            )
            event = decode(record)
            if isinstance(event, kind):
                found.append(event)
        return found

    async def newest(self, kind: type[AnyEvent]) -> dict[UUID, AnyEvent]:
        """The highest version of each record, as a consumer would end with it."""
        newest: dict[UUID, AnyEvent] = {}
        for event in sorted(await self.said(kind), key=lambda one: one.record_version):
            newest[event.record_id] = event
        return newest

    async def count(self, table: str) -> int:
        async with self.engine.connect() as connection:
            found = await connection.execute(text(f"SELECT count(*) FROM intake.{table}"))
            return int(found.scalar_one())

    async def dump(self) -> str:
        """Every value of every table as text, to look for what must not be there."""
        parts = []
        async with self.engine.connect() as connection:
            for table in metadata.sorted_tables:
                rows = await connection.execute(table.select())
                for row in rows:
                    parts += [
                        bytes(value).decode("utf-8", "replace")
                        if isinstance(value, bytes | memoryview)
                        else json.dumps(value, default=str, ensure_ascii=False)
                        for value in row
                    ]
        return "\n".join(parts)


def fates(answer: Any) -> Counter[str]:
    return Counter(row["fate"] for row in answer["rows"])


def scan(external_id: str, **facts: Any) -> dict[str, Any]:
    return {
        "external_id": external_id,
        "place": {"code": "gate"},
        "occurred_at": "2021-03-11T18:00:00+08:00",
        **facts,
    }


def somebody(value: str = "") -> dict[str, str]:
    return {"scheme": "id", "value": value or str(new_id())}


async def prepare_intake(url: URL) -> None:
    """What every database of these tests begins with."""
    made = Intake(url, ManualClock(NOON))
    await made.prepare()
    await made.close()
