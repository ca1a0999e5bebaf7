"""The client: what it sent, what was acknowledged. Its ledger is what the walk is judged by.

A request without an answer, or refused for the moment, is sent again with the same ids until it is
acknowledged; nothing is ever sent with other ids instead.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.eventually import eventually
from tests.failure.house import House
from tests.failure.walk import AREAS, PERSONS, PLACES, SOURCES, Request
from tests.journey.messages import Acknowledgement

AT_ONCE = 3
PATIENCE_SECONDS = 120.0
Account = tuple[str, str]


@dataclass(slots=True)
class Ledger:
    """Accounts are (source name, door); rows are (external id, revision) to the record's id."""

    stored: dict[Account, dict[tuple[str, int], str]] = field(default_factory=dict)
    rejected: dict[Account, set[tuple[str, int]]] = field(default_factory=dict)
    # Rows in requests that were answered, and rows in all attempts.
    answered: Counter[Account] = field(default_factory=Counter)
    sent: Counter[Account] = field(default_factory=Counter)
    unanswered: int = 0
    refused: int = 0
    # What the walk calls a record, by its id.
    names: dict[str, str] = field(default_factory=dict)

    def take(self, request: Request, response: httpx.Response) -> None:
        """Write an acknowledgement down; anything else than one is an error."""
        assert response.is_success, f"{request.path}: {response.status_code} {response.text}"
        if request.source is None:
            self._take_registration(request, response)
            return
        account = (request.source.name, request.door)
        self.answered[account] += request.counted
        if request.raw:
            acknowledgement = Acknowledgement.read(response.content)
            assert acknowledgement.code == "AA", acknowledgement.text
            self._store(account, request.rows[0], "")
            return
        answers = response.json()["rows"]
        assert [(row["external_id"], row["revision"]) for row in answers] == list(request.rows)
        for key, row in zip(request.rows, answers, strict=True):
            if row["fate"] == "rejected":
                self.rejected.setdefault(account, set()).add(key)
            else:
                self._store(account, key, row["record_id"])
                self.names[row["record_id"]] = f"{request.door} {row['external_id']}"

    def _store(self, account: Account, key: tuple[str, int], record_id: str) -> None:
        known = self.stored.setdefault(account, {}).setdefault(key, record_id)
        assert known == record_id, f"{account} {key} was acknowledged under two ids"

    def _take_registration(self, request: Request, response: httpx.Response) -> None:
        told = response.json()
        if request.door == "areas":
            assert len(request.body) == len(AREAS)
        elif request.door == "places":
            pairs = zip(PLACES, told, strict=True)
            self.names |= {answer["place_id"]: place.code for place, answer in pairs}
        elif request.door == "persons":
            people = zip(PERSONS, told, strict=True)
            self.names |= {answer["person_id"]: person.name for person, answer in people}
        else:
            self.names |= {str(source.id): source.name for source in SOURCES}


@dataclass(slots=True)
class Sender:
    """Sends requests, a few at once, each until it is acknowledged."""

    house: House
    # By source name; "" is the one who registers and reads.
    keys: Mapping[str, str]
    ledger: Ledger = field(default_factory=Ledger)
    client: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.AsyncClient(base_url=self.house.base_url, timeout=30.0)

    def headers(self, name: str = "") -> dict[str, str]:
        return {"authorization": f"Bearer {self.keys[name]}"}

    async def deliver(self, requests: Sequence[Request]) -> None:
        """All of them, in this order as far as several at once have one."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(request: Request) -> None:
            async with gate:
                await self._deliver(request)

        if requests and requests[0].source is None:
            for request in requests:
                await self._deliver(request)  # what is registered rests on what was before it
        else:
            await asyncio.gather(*map(one, requests))

    async def _deliver(self, request: Request) -> None:
        async def acknowledged() -> bool:
            asked = self.house.process
            response = await self.attempt(request)
            if response is None:
                await self.house.revive(asked)
                return False
            if response.status_code == 503:
                return False
            self.ledger.take(request, response)
            return True

        await eventually(acknowledged, within_seconds=PATIENCE_SECONDS)

    async def attempt(self, request: Request) -> httpx.Response | None:
        """Once; None when there was no answer. A refusal for the moment must be one in full."""
        options: dict[str, Any] = {"json": request.body}
        if request.raw:
            options = {"content": request.raw}
        if request.source is not None:
            self.ledger.sent[request.source.name, request.door] += request.counted
        name = request.source.name if request.source else ""
        self.house.note_request()
        try:
            response = await self.client.post(request.path, headers=self.headers(name), **options)
        except httpx.TransportError:
            self.ledger.unanswered += 1
            return None
        if response.status_code == 503:
            self.ledger.refused += 1
            check_refusal(response)
        return response


def check_refusal(response: httpx.Response) -> None:
    """A 503 says what it is, in our own form, and when to come again."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    assert int(response.headers["retry-after"]) >= 1
    problem = response.json()
    assert problem["status"] == 503
    assert problem["detail"]
    assert problem["advice"]
