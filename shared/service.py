"""What a service declares of itself; `shared/runtime.py` does the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from fastapi import APIRouter
from sqlalchemy import MetaData

from shared.bus.port import Bus
from shared.clock import Clock
from shared.database.tables import StandardTables
from shared.database.work import Database, Work
from shared.events.base import Event
from shared.policy import PolicyKind
from shared.pressure import Pressure
from shared.settings import Settings

# Handlers take all events of one type in a batch, all keys of one kind, all timers of one kind.
EventHandler = Callable[[Work, Sequence[Any]], Awaitable[None]]
KeysHandler = Callable[[Work, Sequence[str]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """One group `<service>.<purpose>`. Heavy streams get a group of their own, so that they never
    hold up a result or an order."""

    purpose: str
    handlers: Mapping[type[Event], EventHandler]
    batch_max: int = 500
    # True where a handler's effect has no versioned row: the inbox then keeps it single.
    once: bool = False
    # How long a heavy stream gives way before each batch while people wait at the doors.
    gives_way_seconds: float = 0.0


# `prompt`: somebody waits for it. `gathered`: soon, and cheaper for many at once. `steady`: the
# rest, which may take seconds.
Lane = Literal["prompt", "gathered", "steady"]


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Judges committed facts by key. `batch_max` keys share a transaction; with `exclusive`, no two
    processes judge one key at once. None waits behind those of another lane."""

    judge: KeysHandler
    batch_max: int = 1
    exclusive: bool = True
    lane: Lane = "steady"


class Freshness(Protocol):
    """How current the copies are that consumer groups keep."""

    def stale_seconds(self, purpose: str) -> float:
        """Real seconds since the group of this service last had nothing left to apply."""
        ...


@dataclass(slots=True)
class Room:
    """What a service's HTTP door is handed (`app.state.room`)."""

    name: str
    database: Database
    bus: Bus
    clock: Clock
    settings: Settings
    freshness: Freshness
    extras: dict[str, Any] = field(default_factory=dict)
    pressure: Pressure = field(default_factory=Pressure)
    # What the service is not ready without, and what it does without: `/readyz` tells both.
    waiting_for: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


Background = Callable[[Room], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Service:
    """The whole wiring of one service."""

    name: str
    metadata: MetaData
    tables: StandardTables
    folder: Path
    routers: Sequence[APIRouter] = ()
    consumers: Sequence[ConsumerGroup] = ()
    evaluators: Mapping[str, Evaluator] = field(default_factory=dict)
    timers: Mapping[str, KeysHandler] = field(default_factory=dict)
    policies: Sequence[PolicyKind] = ()
    # Runs as long as the process (a tail of the log, say); cancelled at stop, restarted when it
    # fails.
    background: Mapping[str, Background] = field(default_factory=dict)
    # Called once with the room before the doors open (load keys, open an HTTP client).
    prepare: Background | None = None

    @property
    def topics(self) -> frozenset[str]:
        """Every topic that some consumer of this service reads."""
        return frozenset(topic for group in self.consumers for topic in topics_of(group))


def topics_of(group: ConsumerGroup) -> tuple[str, ...]:
    """The topics a group subscribes to; a policy handler hears every owner's."""
    topics: set[str] = set()
    for event in group.handlers:
        if event.topic == "policy.v1":
            topics |= {
                f"{owner}.policy.v1" for owner in ("intake", "tracing", "quarantine", "alerts")
            }
        else:
            topics.add(event.topic)
    return tuple(sorted(topics))
