"""All services in one process that dies where it is told; `forge.py` makes such processes.

Beside the settings (`OUTPOST_…`) the environment names `FAULT_JOURNAL`, a file that outlives the
process, and perhaps `FAULT_POINT` and `FAULT_TURN`: at the turn-th time that this point is reached
the process kills itself with SIGKILL. Everything else is `shared.runtime.live`, signals included.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from typing import Any

import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from services.__main__ import SERVICES
from shared.clock import ManualClock
from shared.database.work import Work
from shared.events.base import Event
from shared.log import configure_log
from shared.runtime import Runtime, live
from shared.service import ConsumerGroup, EventHandler, Service
from shared.settings import Settings
from tests.failure.journal import Journal

BEFORE_ANSWER = "between commit and answer"


class KillingFaults:
    """Writes every point that is reached to the journal, and dies at the one that was chosen."""

    def __init__(self, journal: Journal, point: str, turn: int) -> None:
        self._journal = journal
        self._point = point
        self._turns_left = turn

    async def reach(self, point: str) -> None:
        task = asyncio.current_task()
        self._journal.reached(task.get_name() if task else "", point)
        if point != self._point:
            return
        self._turns_left -= 1
        if self._turns_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class AnsweringApp:
    """Reaches a point of its own when a write was committed and its sender does not know it yet."""

    def __init__(self, app: ASGIApp, faults: KillingFaults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: MutableMapping[str, Any]) -> None:
            good = message["type"] == "http.response.start" and message["status"] < 300
            if good and scope.get("method") == "POST":
                await self._faults.reach(BEFORE_ANSWER)
            await send(message)

        await self._app(scope, receive, answer)


class FailingRuntime(Runtime):
    """The real one, with the fifth point in front of it."""

    def __init__(
        self, services: Sequence[Service], settings: Settings, faults: KillingFaults
    ) -> None:
        assert settings.clock_start_at is not None, "the walk stands at one business instant"
        clock = ManualClock(settings.clock_start_at)
        super().__init__(services, settings, clock=clock, faults=faults)
        self._killing = faults

    async def _serve(self) -> None:
        assert self._front is not None
        self._front = AnsweringApp(self._front, self._killing)  # type: ignore[assignment]
        await super()._serve()


def journaled(service: Service, journal: Journal) -> Service:
    """The service, with every event that a handler has applied written down before the commit."""
    return replace(
        service,
        consumers=[_journaled_group(service.name, one, journal) for one in service.consumers],
    )


def _journaled_group(service: str, group: ConsumerGroup, journal: Journal) -> ConsumerGroup:
    name = f"{service}.{group.purpose}"

    def heard(handle: EventHandler) -> EventHandler:
        async def apply(work: Work, events: Sequence[Event]) -> None:
            await handle(work, events)
            journal.heard(name, [str(event.event_id) for event in events])

        return apply

    return replace(group, handlers={event: heard(one) for event, one in group.handlers.items()})


def main() -> None:
    settings = Settings.load()
    configure_log(level=settings.log_level, style=settings.log_format)
    journal = Journal.open(os.environ["FAULT_JOURNAL"])
    faults = KillingFaults(
        journal, os.environ.get("FAULT_POINT", ""), int(os.environ.get("FAULT_TURN", "0"))
    )
    journal.started()
    services = [journaled(service, journal) for service in SERVICES]
    uvloop.run(live(FailingRuntime(services, settings, faults)))
