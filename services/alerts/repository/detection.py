"""The policies that counting and judging rest on: detection, calendar, known outbreaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field
from sqlalchemy import select

from services.alerts.domain.counting.calendar import Calendar, DayType, Term
from services.alerts.domain.counting.policy import Denominator, Detection, KindPolicy, Prior
from services.alerts.tables import standard
from shared.policy import PolicyDocument, PolicyKind, Reader


def _span_is_sound(span: str) -> str:
    first, last = _span(span)
    if last < first:
        raise ValueError("a span ends before it begins")
    return span


Span = Annotated[
    str,
    Field(description="a day, or the first and the last day with a slash between"),
    AfterValidator(_span_is_sound),
]


class PriorDocument(PolicyDocument):
    share: float = Field(gt=0)
    days: float = Field(gt=0)


class KindDocument(PolicyDocument):
    """`syndromes`: those that are counted; empty: each record names its own (a disease)."""

    denominator: Denominator
    syndromes: tuple[str, ...]
    school: bool = False
    cases: int = Field(ge=1)
    days: int = Field(ge=1, le=28)
    always_fixed: bool = False


class DetectionDocument(PolicyDocument):
    """As `domain/counting/policy.py` explains; `zone`: whose days those of an unknown area are."""

    zone: str
    alpha: float = Field(gt=0, lt=0.5)
    farrington_years_least: int = Field(ge=3)
    farrington_years_most: int = Field(ge=3, le=10)
    essence_days_least: int = Field(ge=28)
    rare_cases: int = Field(ge=1)
    rare_days: int = Field(ge=7, le=63)
    rare_history_days: int = Field(ge=28)
    size_days: int = Field(ge=7)
    size_shape: float = Field(gt=0)
    known_share: float = Field(ge=0, le=1)
    delay_days_most: int = Field(ge=1, le=60)
    rejudge_days: int = Field(ge=1)
    refit_minutes: int = Field(ge=1)
    priors: dict[str, PriorDocument]
    kinds: dict[str, KindDocument]

    def detection(self, name: str) -> Detection:
        """The rule without what only the live path needs. `name`: the version's."""
        given = self.model_dump(
            exclude={"zone", "rejudge_days", "refit_minutes", "priors", "kinds"}
        )
        return Detection(
            name=name,
            kinds={kind: KindPolicy(**one.model_dump()) for kind, one in self.kinds.items()},
            priors={
                DayType[key.upper()]: Prior(one.share, one.days) for key, one in self.priors.items()
            },
            **given,
        )


class YearDocument(PolicyDocument):
    year: int
    notice: str
    days_off: tuple[Span, ...]
    working: tuple[date, ...]


class CalendarDocument(PolicyDocument):
    """Days off and make-up days by year; school vacations as spans."""

    years: tuple[YearDocument, ...]
    new_years: tuple[date, ...]
    vacations: tuple[Span, ...]

    def calendar(self) -> Calendar:
        return Calendar(
            off=frozenset(
                first + timedelta(days=step)
                for year in self.years
                for first, last in map(_span, year.days_off)
                for step in range((last - first).days + 1)
            ),
            working=frozenset(day for year in self.years for day in year.working),
            new_years=self.new_years,
            vacations=tuple(Term(*_span(span)) for span in self.vacations),
            years=frozenset(year.year for year in self.years),
        )


class OutbreakDocument(PolicyDocument):
    """A known outbreak: its days are judged, and not learnt from. Everything below `area_id` is
    meant; without kinds or syndromes all of them are."""

    area_id: str
    span: Span
    point_kinds: tuple[str, ...] = ()
    syndromes: tuple[str, ...] = ()

    @property
    def days(self) -> tuple[date, date]:
        return _span(self.span)

    def concerns(self, point_kind: str, syndrome: str) -> bool:
        kinds, syndromes = self.point_kinds, self.syndromes
        return (not kinds or point_kind in kinds) and (not syndromes or syndrome in syndromes)


DETECTION = PolicyKind("alerts.detection", DetectionDocument)
CALENDAR = PolicyKind("alerts.calendar", CalendarDocument)
OUTBREAK = PolicyKind("alerts.outbreak", OutbreakDocument)
COUNTING = frozenset({DETECTION.name, CALENDAR.name, OUTBREAK.name})


@dataclass(frozen=True, slots=True)
class Counting:
    """What counts at the moment: of detection and calendar the highest active version."""

    document: DetectionDocument
    policy: Detection
    calendar: Calendar
    outbreaks: Sequence[OutbreakDocument]


async def counting_versions(reader: Reader) -> frozenset[tuple[str, int]]:
    """The active versions of these policies, to see whether any has changed."""
    policy = standard.policy
    rows = await reader.execute(
        select(policy.c.id, policy.c.version).where(
            policy.c.kind.in_(sorted(COUNTING)), policy.c.state == "active"
        )
    )
    return frozenset((row.id, row.version) for row in rows)


async def counting_in_force(reader: Reader) -> Counting | None:
    """None where no detection policy is active: then nothing is counted."""
    policy = standard.policy
    rows = (
        await reader.execute(
            select(policy)
            .where(policy.c.kind.in_(sorted(COUNTING)), policy.c.state == "active")
            .order_by(policy.c.id, policy.c.version)
        )
    ).all()
    newest = {row.id: row for row in rows}
    detection = [row for row in newest.values() if row.kind == DETECTION.name]
    if not detection:
        return None
    document = DetectionDocument.model_validate(detection[-1].document)
    calendars = [
        CalendarDocument.model_validate(row.document)
        for row in newest.values()
        if row.kind == CALENDAR.name
    ]
    empty = CalendarDocument(years=(), new_years=(), vacations=())
    return Counting(
        document,
        document.detection(f"{detection[-1].id}@{detection[-1].version}"),
        (calendars[-1] if calendars else empty).calendar(),
        [
            OutbreakDocument.model_validate(row.document)
            for row in newest.values()
            if row.kind == OUTBREAK.name
        ],
    )


def _span(span: str) -> tuple[date, date]:
    first, _, last = span.partition("/")
    return date.fromisoformat(first), date.fromisoformat(last or first)
