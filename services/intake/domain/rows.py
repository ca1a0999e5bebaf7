"""A batch of rows: each row has a fate of its own, and the fates add up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from services.intake.domain.verdicts import REASONS, Verdict
from shared.errors import FieldProblem, field_at

Fate = Literal["stored", "duplicate", "rejected"]
ZONE_ASSUMED = "zone_assumed"


class Fact(Protocol):
    """What every door's row has in common, whatever else it tells."""

    @property
    def external_id(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def occurred_at(self) -> datetime: ...
    @property
    def withdrawn(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class ArrivedRow:
    """One row as it came: `fact` when it could be read, else `problems`. `body` is its content in
    one spelling, so that the same row is known again whatever the white space."""

    position: int
    body: bytes = field(repr=False)
    fact: Any = None
    external_id: str | None = None
    revision: int = 1
    problems: tuple[FieldProblem, ...] = ()
    warnings: tuple[FieldProblem, ...] = ()


class RowRefused(Exception):
    """This row cannot be accepted; the others are not touched."""

    def __init__(self, *problems: FieldProblem) -> None:
        super().__init__(", ".join(problem.field for problem in problems))
        self.problems = problems


@dataclass(slots=True)
class RowAnswer:
    """What the sender is told about one row."""

    position: int
    fate: Fate
    external_id: str | None = None
    revision: int = 1
    record_id: UUID | None = None
    verdict: Verdict | None = None
    problems: tuple[FieldProblem, ...] = ()
    warnings: tuple[FieldProblem, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "position": self.position,
            "external_id": self.external_id,
            "revision": self.revision,
            "fate": self.fate,
        }
        if self.record_id is not None:
            # As text: the encoder of JSON is four times as fast with it as with the driver's id.
            told["record_id"] = str(self.record_id)
        if self.verdict is not None:
            told["verdict"] = self.verdict.code
            told["reason"] = REASONS[self.verdict.reason]
        if self.problems:
            told["problems"] = [problem.as_dict() for problem in self.problems]
        if self.warnings:
            told["warnings"] = [warning.as_dict() for warning in self.warnings]
        return told


@dataclass(frozen=True, slots=True)
class Tally:
    """received = stored + duplicate + rejected, always."""

    received: int
    stored: int
    duplicate: int
    rejected: int

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.received + other.received,
            self.stored + other.stored,
            self.duplicate + other.duplicate,
            self.rejected + other.rejected,
        )

    @property
    def adds_up(self) -> bool:
        return self.received == self.stored + self.duplicate + self.rejected


def count_fates(answers: Iterable[RowAnswer]) -> Tally:
    fates = [answer.fate for answer in answers]
    return Tally(
        len(fates), fates.count("stored"), fates.count("duplicate"), fates.count("rejected")
    )


def place_in_time(at: datetime, default_zone: str) -> tuple[datetime, str]:
    """The instant in UTC and a flag; a missing offset takes the source's zone and is flagged."""
    if at.tzinfo is None:
        return at.replace(tzinfo=ZoneInfo(default_zone)).astimezone(UTC), ZONE_ASSUMED
    return at.astimezone(UTC), ""


OFFSET_MISSING = FieldProblem(
    "occurred_at",
    "no offset; the zone of the source was put in",
    "an instant with its offset, such as +08:00 or Z",
)
PLACE_UNKNOWN = FieldProblem(
    "place",
    "nobody has registered this place; the row is kept and counts once somebody has",
    "the code of a registered place",
)
CONFLICT = FieldProblem(
    "revision",
    "this id and revision were told before with another content",
    "a higher revision for a correction",
)


def settle_repeat(
    answer: RowAnswer, *, same_content: bool, known_verdict: Verdict | None
) -> RowAnswer:
    """A row whose id and revision are taken: the same content is a duplicate and gets the stored
    verdict again; another content is a conflict, which is told and counted rejected."""
    if same_content:
        answer.fate, answer.verdict = "duplicate", known_verdict
    else:
        answer.fate, answer.verdict, answer.record_id = "rejected", None, None
        answer.problems = (CONFLICT,)
    return answer


def field_problems(errors: Sequence[Any]) -> tuple[FieldProblem, ...]:
    """Places and expectations only; the values that came in could name a person."""
    return tuple(
        FieldProblem(field_at(item["loc"], item["type"]) or "row", item["msg"], item["type"])
        for item in errors
    )
