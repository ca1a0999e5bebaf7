"""An alert as the page shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from services.console.domain.series import SeriesDay, SeriesName

# Highest first, with the Chinese grade that belongs to each colour.
LEVELS = {"red": "Ⅰ", "orange": "Ⅱ", "yellow": "Ⅲ", "blue": "Ⅳ"}
ENDED = frozenset({"closed", "dismissed", "withdrawn"})
# Which buttons stand on a card; whether an act is allowed is decided by the alerts service.
ACTS = {
    "acknowledge": frozenset({"open"}),
    "verify": frozenset({"open", "acknowledged"}),
    "close": frozenset({"open", "acknowledged", "verifying", "escalated"}),
    "dismiss": frozenset({"open", "acknowledged", "verifying", "escalated"}),
}
# An end is for good and is looked up later: it needs its reason.
ACTS_WITH_REASON = frozenset({"close", "dismiss"})
# So many cards stand on the page; older ones are found through the alerts service.
CARDS_MOST = 200


@dataclass(frozen=True, slots=True)
class ExcessDay:
    """A day that lit a point, and the method that judged it."""

    name: SeriesName
    told: SeriesDay
    method: str


@dataclass(frozen=True, slots=True)
class ConsentDay:
    """A day on which all streams of the area agreed; `limit` is what `q_value` was held against."""

    day: date
    p_value: float
    q_value: float
    limit: float


@dataclass(frozen=True, slots=True)
class Reason:
    """One point of an alert: how often it lit, on how many persons, between when."""

    point_kind: str
    point_id: str
    place_id: str | None
    area_id: str | None
    signals: int
    persons: int
    first_at: datetime
    last_at: datetime
    # Of a point lit by excess: the days of its series.
    days: tuple[ExcessDay, ...] = ()


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert with its whole explanation; instants are UTC."""

    id: str
    version: int
    rule: str
    title_zh: str
    title_en: str
    area_id: str | None
    level: str
    state: str
    first_at: datetime
    last_at: datetime
    points: int
    persons: int
    unlinked_persons: int
    reasons: tuple[Reason, ...]
    silent_if: tuple[str, ...]
    silent_zh: str
    silent_en: str
    reason: str
    exercise: bool
    changed_at: datetime | None
    households: int = 0
    consents: tuple[ConsentDay, ...] = ()

    @property
    def series(self) -> tuple[SeriesName, ...]:
        """The series behind its points, each once, in the order of the points."""
        return tuple(dict.fromkeys(one.name for reason in self.reasons for one in reason.days))

    def days_of(self, name: SeriesName) -> tuple[SeriesDay, ...]:
        """The days of a series that lit a point."""
        days = (one for reason in self.reasons for one in reason.days)
        return tuple(one.told for one in days if one.name == name)

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def reason_code(self) -> str:
        """The part of the reason before its details, which has a word in each language."""
        return self.reason.partition(":")[0]

    def title(self, language: str) -> str:
        first, second = (self.title_zh, self.title_en)
        if language == "en":
            first, second = second, first
        return first or second or self.rule

    def silent(self, language: str) -> str:
        return self.silent_en if language == "en" else self.silent_zh

    @property
    def silencing_points(self) -> tuple[Reason, ...]:
        """The points without which the alert would not exist; empty where it is persons or where
        one of the points is not told.
        """
        told = {f"point:{reason.point_kind}:{reason.point_id}": reason for reason in self.reasons}
        found = tuple(told[entry] for entry in self.silent_if if entry in told)
        return found if len(found) == len(self.silent_if) else ()

    def offers(self, act: str) -> bool:
        return self.state in ACTS[act]


@dataclass(frozen=True, slots=True)
class AlertTally:
    """Alerts that still want somebody, by level; drills are counted apart."""

    active: dict[str, int]
    unanswered: int
    exercises: int


def tally_of(alerts: Iterable[Alert]) -> AlertTally:
    active: Counter[str] = Counter()
    unanswered = exercises = 0
    for alert in alerts:
        if alert.ended:
            continue
        if alert.exercise:
            exercises += 1
            continue
        active[alert.level] += 1
        unanswered += alert.state == "open"
    return AlertTally({level: active[level] for level in LEVELS}, unanswered, exercises)
