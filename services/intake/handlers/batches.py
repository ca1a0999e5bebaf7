"""What the rows of a delivery are on their way in, and what differs from door to door."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Table

from services.intake.domain.references import (
    KnownPerson,
    KnownPlace,
    KnownSource,
    PersonReference,
    PlaceReference,
)
from services.intake.domain.rows import ArrivedRow, Fact, RowAnswer, place_in_time
from services.intake.handlers.desk import Desk
from services.intake.repository.rows import RowKey
from shared.database.work import Work
from shared.events.base import Event

AnyFact = TypeVar("AnyFact", bound=Fact)
FLAG_PLACE_UNKNOWN = "place_unknown"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request with rows: who sent it, the body as it came, and what was read from it."""

    source_id: UUID
    subject: str
    body: bytes
    rows: Sequence[ArrivedRow]
    # What else about the request decides its meaning (the disease of a list).
    context: str = ""


@dataclass(slots=True)
class Batch(Generic[AnyFact]):
    """One delivery's rows, what they are judged by, and what is answered.

    Deliveries that are taken together share what was looked up: `persons` and `places` are theirs
    all.
    """

    desk: Desk
    source: KnownSource
    now: datetime
    rows: Sequence[ArrivedRow] = ()
    answers: list[RowAnswer] = field(default_factory=list)
    persons: dict[PersonReference, KnownPerson] = field(default_factory=dict)
    places: dict[UUID, KnownPlace] = field(default_factory=dict)

    @property
    def day(self) -> date:
        """The day of its arrival where its source is."""
        return self.now.astimezone(ZoneInfo(self.source.default_zone)).date()

    def place_of(self, reference: PlaceReference | None) -> KnownPlace | None:
        """The row's place, else the place of its source."""
        if reference is not None:
            return self.places[reference.id]
        return self.places.get(self.source.place_id) if self.source.place_id else None

    def in_utc(self, at: datetime) -> datetime:
        return place_in_time(at, self.source.default_zone)[0]


@dataclass(slots=True)
class Candidate(Generic[AnyFact]):
    """A readable row on its way in."""

    batch: Batch[AnyFact]
    row: ArrivedRow
    fact: AnyFact
    answer: RowAnswer
    record_id: UUID
    revision: int
    occurred_at: datetime
    flags: list[str]
    columns: dict[str, Any] = field(default_factory=dict)
    event: Event | None = None
    kept_id: str = ""

    @property
    def key(self) -> RowKey:
        return self.record_id, self.revision

    @property
    def status(self) -> str:
        return "withdrawn" if self.fact.withdrawn else "recorded"


class RowDoor(ABC, Generic[AnyFact]):
    """What differs from door to door: table, references, and how a row becomes an event."""

    name: ClassVar[str]
    record_kind: ClassVar[str]
    table: Table
    # A list has no revisions of its own: the same row with another content is its next one.
    counts_revisions: ClassVar[bool] = False

    @abstractmethod
    def persons(self, fact: AnyFact) -> Iterable[PersonReference]:
        """Every person the row names."""

    def place(self, fact: AnyFact) -> PlaceReference | None:  # noqa: ARG002
        """The place the row names, if any."""
        return None

    def kept_id(self, batch: Batch[Any], external_id: str) -> str:  # noqa: ARG002
        """The sender's id as it is kept; a pseudonym where it could be a document's number."""
        return external_id

    async def load(self, work: Work, batches: Sequence[Batch[AnyFact]]) -> Any:  # noqa: ARG002
        """Whatever else `decide` needs, for everything that is taken together at once."""
        return None

    @abstractmethod
    def decide(self, candidate: Candidate[AnyFact], batch: Batch[AnyFact], loaded: Any) -> None:
        """Fill columns, event and verdict, or raise `RowRefused`."""
