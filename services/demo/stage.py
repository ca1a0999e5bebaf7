"""The stage of a play: every service in one process on a fresh PostgreSQL, and people with keys."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from services.demo import wire
from services.demo.plan import Parcel, Town, id_of
from services.demo.town import COUNTY, NEIGHBOUR
from shared.clock import Clock
from shared.credentials import Grant, NewStaff, add_staff, issue_key
from shared.log import configure_log
from shared.runtime import Runtime
from shared.service import Service
from shared.settings import Settings
from shared.settled import settled

PERSONS_AT_ONCE = 200
SETTLED_WITHIN_SECONDS = 60.0
TRIES = 20
READS = (
    "alerts.read", "signals.read", "cases.read", "contacts.read", "orders.read", "breaches.read",
    "balance.read", "places.read", "sources.read", "areas.read", "scans.read", "reports.read",
)  # fmt: skip
REGISTERS = ("areas.write", "places.write", "sources.write", "persons.write")
SENDS = tuple(f"{door}.write" for door in wire.DOORS.values())


class Refused(Exception):
    """A door did not take what the play sent."""


@dataclass(slots=True)
class Stage:
    """What a play acts on. Everything goes through HTTP with keys of its own."""

    runtime: Runtime
    client: httpx.AsyncClient
    login: str
    password: str
    keys: dict[str, str] = field(default_factory=dict)

    async def send(self, parcel: Parcel) -> dict[str, Any]:
        """Rows through the door of their kind, under the source's own key; the door's answer."""
        body = [wire.body_of(row) for row in parcel.rows]
        door = wire.door_of(parcel.rows[0])
        answer = await self._ask(parcel.source, "POST", f"/intake/{door}", body)
        assert isinstance(answer, dict)
        return answer

    async def ask(self, path: str, **questions: object) -> Any:
        """An answer to the health office."""
        asked = {name: str(value) for name, value in questions.items() if value is not None}
        return await self._ask("office", "GET", f"{path}?{httpx.QueryParams(asked)}", None)

    async def discard(self, case_id: str, reason: str) -> None:
        await self._ask("office", "POST", f"/tracing/cases/{case_id}/discard", {"reason": reason})

    async def settle(self) -> None:
        """Until everything said has been heard and judged."""
        runtime = self.runtime
        await settled(
            runtime.services, runtime.ground.databases, runtime.bus,
            within_seconds=SETTLED_WITHIN_SECONDS,
        )  # fmt: skip

    async def register(self, town: Town) -> None:
        """Areas, places, sources and persons, and a key for each source."""
        admin = self.runtime.ground.admin_engine()
        for name, scopes in (("registrar", REGISTERS), ("office", (*READS, "cases.write"))):
            self.keys[name] = await issue_key(admin, name, Grant(scopes, ["*"]))
        await self._ask("registrar", "POST", "/intake/areas", wire.areas_body(town))
        await self._ask("registrar", "POST", "/intake/places", wire.places_body(town))
        for body in wire.sources_body(town):
            await self._ask("registrar", "POST", "/intake/sources", body)
        persons = wire.persons_body(town)
        for start in range(0, len(persons), PERSONS_AT_ONCE):
            batch = persons[start : start + PERSONS_AT_ONCE]
            await self._ask("registrar", "POST", "/intake/persons", batch)
        for source in town.sources:
            grant = Grant(SENDS, ["*"], id_of("source", source))
            self.keys[source] = await issue_key(admin, source, grant)
        # The person at the console answers for both counties.
        staff = NewStaff(self.login, self.password, ["duty_officer"], [COUNTY, NEIGHBOUR])
        await add_staff(admin, staff)

    async def _ask(self, who: str, method: str, path: str, body: object) -> Any:
        headers = {"Authorization": f"Bearer {self.keys[who]}"}
        answer = await self.client.request(method, path, json=body, headers=headers)
        for _ in range(TRIES):
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
            answer = await self.client.request(method, path, json=body, headers=headers)
        if answer.is_error:
            raise Refused(f"{who} {method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()


@asynccontextmanager
async def open_stage(
    services: Sequence[Service], folder: Path, clock: Clock, *, port: int
) -> AsyncIterator[Stage]:
    """Services up on a fresh database in `folder`; down again afterwards, whatever happened."""
    # The environment of the process may name a real database or log: a play never touches those.
    settings = Settings(
        database_url=None, kafka_brokers="", data_dir=folder, http_host="127.0.0.1",
        http_port=port, migrate_at_start=True, log_level="error", log_format="console",
        alerts_url="", intake_url="", tracing_url="", quarantine_url="",
    )  # fmt: skip
    configure_log(level=settings.log_level, style=settings.log_format)
    runtime = Runtime(services, settings, clock=clock)
    try:
        await runtime.start()
        async with httpx.AsyncClient(
            base_url=runtime.base_url, timeout=60, trust_env=False
        ) as client:
            yield Stage(runtime, client, "duty", secrets.token_urlsafe(9))
    finally:
        await runtime.stop()
