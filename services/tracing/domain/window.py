"""When a case could infect others, and until when a close contact could.

Sources of the rule: Chinese protocol for the prevention and control of COVID-19, 8th edition
(2021), annex on close contacts: exposure counts from two days before onset, for a person without
symptoms from two days before the specimen; a contact of a contact is one of the close contact
between its first exposure and its isolation. The figures are policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from services.tracing.domain.case import CaseAssessment, start_of_day

Basis = Literal["onset", "specimen_collected", "diagnosed", "reported"]


@dataclass(frozen=True, slots=True)
class WindowRule:
    """The days of a policy; `fallbacks` are tried in order when the onset is not known."""

    days_before: int
    days_after: int
    fallbacks: tuple[Basis, ...]
    # How long past the case's own window its close contacts' meetings still count.
    second_degree_days: int


@dataclass(frozen=True, slots=True)
class InfectiousWindow:
    """From (inclusive) to until (exclusive), counted in whole days from `day`, which is a `basis`
    date."""

    from_at: datetime
    until_at: datetime
    basis: Basis
    day: date


@dataclass(frozen=True, slots=True)
class Isolation:
    """A time in which a person was apart: an order on a close contact, or their own case."""

    from_at: datetime
    until_at: datetime


def infectious_window(
    case: CaseAssessment, rule: WindowRule, zone: ZoneInfo
) -> InfectiousWindow | None:
    """`days_before` whole days before the onset day, the day itself, `days_after` whole days after
    it.

    Days are days in `zone`, the zone of the case's area. Without an onset the first known fallback
    counts instead and is named; None when the policy allows none that is known.
    """
    for basis in ("onset", *rule.fallbacks):
        day = _day(case, basis, zone)
        if day is not None:
            return InfectiousWindow(
                from_at=start_of_day(day - timedelta(days=rule.days_before), zone),
                until_at=start_of_day(day + timedelta(days=rule.days_after + 1), zone),
                basis=basis,
                day=day,
            )
    return None


def second_degree_until(
    first_exposure_at: datetime,
    isolations: Sequence[Isolation],
    window: InfectiousWindow,
    rule: WindowRule,
) -> datetime:
    """Until when (exclusive) a meeting with a close contact makes a contact of contact.

    The close contact's isolation ends it, else the end of the case's own window plus the policy's
    days. An isolation that was over before the first exposure says nothing about it. May lie before
    the first exposure: then nobody was exposed through this person.
    """
    ends = [window.until_at + timedelta(days=rule.second_degree_days)]
    ends += [apart.from_at for apart in isolations if apart.until_at > first_exposure_at]
    return min(ends)


def _day(case: CaseAssessment, basis: Basis, zone: ZoneInfo) -> date | None:
    if basis == "onset":
        return case.onset_date
    if basis == "diagnosed":
        return case.diagnosed_date
    at = case.specimen_collected_at if basis == "specimen_collected" else case.reported_at
    return at.astimezone(zone).date() if at else None
