"""What a policy says about measures: how strict, how long, which check-ins."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, model_validator

DEGREES = ("close_contact", "contact_of_contact")


class Part(BaseModel):
    """A piece of the document: unknown or blank parameters are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MeasureRule(Part):
    """One measure. The higher `strictness` wins where an order rests on several supports.

    `check_times` are local times of day in the order's zone. A check-in counts for a time from
    `early_minutes` before it, and is missed `grace_minutes` after it.
    """

    name: str
    strictness: int
    may_leave: bool
    allowed_place_kinds: tuple[str, ...]
    check_times: tuple[time, ...]
    early_minutes: int = Field(ge=0)
    grace_minutes: int = Field(gt=0)


class ExposureRule(Part):
    """What a contact of this degree must do, and for how many days after the last exposure."""

    degree: str
    measure: str
    days: int = Field(ge=1)


class IsolationRule(Part):
    """What a case of these classifications must do, and for how many days after the report."""

    classifications: tuple[str, ...]
    measure: str
    days: int = Field(ge=1)


class Measures(Part):
    """The document of a policy `quarantine.measures`.

    `zone` is the IANA zone of the day where the area of a person is not known; `fever_c` is the
    temperature in °C from which on a check-in counts as symptomatic.
    """

    zone: str
    fever_c: float
    measures: tuple[MeasureRule, ...]
    exposed: tuple[ExposureRule, ...]
    isolated: IsolationRule

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        names = [rule.name for rule in self.measures]
        used = {rule.measure for rule in self.exposed} | {self.isolated.measure}
        if missing := used - set(names):
            raise ValueError(f"measures: no rule for {', '.join(sorted(missing))}")
        if len(set(names)) < len(names):
            raise ValueError("measures: a name stands twice")
        if len({rule.strictness for rule in self.measures}) < len(names):
            raise ValueError("measures: two are equally strict, so the stricter one is not stated")
        if sorted(rule.degree for rule in self.exposed) != sorted(DEGREES):
            raise ValueError(f"exposed: exactly one rule for each of {', '.join(DEGREES)}")
        if known_zone(self.zone) is None:
            raise ValueError("zone: an IANA time zone is expected, such as Asia/Shanghai")
        return self

    def measure(self, name: str) -> MeasureRule:
        """The rule of a measure that the document names."""
        return next(rule for rule in self.measures if rule.name == name)

    def exposure(self, degree: str) -> ExposureRule:
        """The rule of a degree."""
        return next(rule for rule in self.exposed if rule.degree == degree)


class Terms(Part):
    """What an order holds its person to: the measure, in which zone, by which policy version."""

    rule: MeasureRule
    zone: str
    fever_c: float
    policy: str


def known_zone(name: str) -> ZoneInfo | None:
    """The zone, or None for a name that the zone database does not know."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def end_after_days_at(start_at: datetime, *, days: int, zone: str) -> datetime:
    """The instant (UTC) at which `days` days after `start_at` are over.

    The day of `start_at` itself is day 0, as medical observation is counted from the day after
    the last exposure; the last day is a whole one. The order therefore ends at local midnight,
    at the end of day `days`, whatever hour the exposure had. The zone is the area's.
    """
    local_zone = ZoneInfo(zone)
    day = start_at.astimezone(local_zone).date() + timedelta(days=days + 1)
    return at_local(day, time(0), zone)


def at_local(day: date, at: time, zone: str) -> datetime:
    """A local time of day as an instant in UTC."""
    return datetime.combine(day, at, tzinfo=ZoneInfo(zone)).astimezone(UTC)
