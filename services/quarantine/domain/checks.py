"""Which check-ins an order owes, and what became of each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from services.quarantine.domain.measures import Terms, at_local
from services.quarantine.domain.orders import Order
from shared.ids import derived_id

CheckStatus = Literal["owed", "done", "missed", "withdrawn"]
# A clock that jumps far ahead settles at most so many check-ins of one order in one transaction;
# the timer then fires again at once for the rest.
CATCH_UP_MOST = 100


@dataclass(frozen=True, slots=True)
class Check:
    """One check-in of an order; version 0 is one that is not stored yet."""

    id: UUID
    version: int
    order_id: UUID
    person_id: UUID
    due_at: datetime
    deadline_at: datetime
    status: CheckStatus
    done_at: datetime | None = None
    symptomatic: bool = False


@dataclass(frozen=True, slots=True)
class CheckIn:
    """That somebody did it, and when; several may count for one check."""

    check_id: UUID
    done_at: datetime
    symptomatic: bool


@dataclass(frozen=True, slots=True)
class Settlement:
    """What to write, up to where check-ins are settled, and when to look again (None: never)."""

    changed: tuple[Check, ...]
    checks_after_at: datetime
    next_check_at: datetime | None
    next_deadline_at: datetime | None


def check_id(order_id: UUID, due_at: datetime) -> UUID:
    return derived_id("check", order_id, due_at.astimezone(UTC).isoformat())


def is_symptomatic(terms: Terms, *, symptoms: Sequence[str], temperature_c: float | None) -> bool:
    """Any symptom, or a temperature (°C) at or over the policy's fever."""
    return bool(symptoms) or (temperature_c is not None and temperature_c >= terms.fever_c)


def new_check(order: Order, due_at: datetime) -> Check:
    """A check as it is when it falls due."""
    return Check(
        id=check_id(order.id, due_at),
        version=0,
        order_id=order.id,
        person_id=order.person_id,
        due_at=due_at,
        deadline_at=due_at + _grace(order),
        status="owed",
    )


def slot_of(order: Order, done_at: datetime, owed: Collection[datetime]) -> datetime:
    """The instant for which a check-in counts: the last one due, or soon due, at `done_at`.
    `owed` are the due instants of the checks that the order has so far.

    Outside the schedule (a measure without check times, before the first, or before the order was
    known) it stands for itself: it must not make a check that nobody owed and that was missed.
    """
    early = timedelta(minutes=order.content.terms.rule.early_minutes)
    for due_at in _instants(order, done_at + early, backwards=True):
        inside = order.content.from_at <= due_at < order.content.until_at
        # What was due by `checks_after_at` is either among the checks or was never owed.
        if inside and (due_at > order.checks_after_at or due_at in owed):
            return due_at
        break
    return done_at


def settle_checks(
    order: Order, checks: Sequence[Check], check_ins: Sequence[CheckIn], *, now: datetime
) -> Settlement:
    """Every check of the order as it should be at `now`.

    Owed are the policy's local times from the moment the order was made (or came back) until it
    ends: nobody could have kept a check-in due before the order was known. A check-in that was
    made in time but told late turns a missed check into a done one.
    """
    due = _newly_due(order, now=now)
    known = {check.id: check for check in checks}
    for due_at in due:
        check = new_check(order, due_at)
        known.setdefault(check.id, check)
    settled = [_settle(order, check, check_ins, now=now) for check in known.values()]
    changed = [check for check in settled if check.version == 0 or check != known[check.id]]
    after_at = due[-1] if due else order.checks_after_at
    deadlines = [check.deadline_at for check in settled if check.status == "owed"]
    return Settlement(
        changed=tuple(sorted(changed, key=lambda check: check.due_at)),
        checks_after_at=after_at,
        next_check_at=next_due_at(order, after_at),
        next_deadline_at=min(deadlines, default=None),
    )


def next_due_at(order: Order, after_at: datetime) -> datetime | None:
    """The next check-in after this instant; None when the order owes no more."""
    content = order.content
    if content.status == "withdrawn":
        return None
    start_at = max(after_at, content.from_at - timedelta(microseconds=1))
    for due_at in _instants(order, start_at):
        return due_at if due_at < content.until_at else None
    return None


def _newly_due(order: Order, *, now: datetime) -> list[datetime]:
    found: list[datetime] = []
    due_at = next_due_at(order, order.checks_after_at)
    while due_at is not None and due_at <= now and len(found) < CATCH_UP_MOST:
        found.append(due_at)
        due_at = next_due_at(order, due_at)
    return found


def _settle(order: Order, check: Check, check_ins: Sequence[CheckIn], *, now: datetime) -> Check:
    own = [one for one in check_ins if one.check_id == check.id]
    done_at = min((one.done_at for one in own), default=None)
    symptomatic = any(one.symptomatic for one in own)
    content = order.content
    owed = content.status != "withdrawn" and content.from_at <= check.due_at < content.until_at
    status: CheckStatus
    if done_at is not None and done_at <= check.deadline_at:
        status = "done"
    elif not owed:
        status = "withdrawn"
    else:
        status = "missed" if check.deadline_at <= now else "owed"
    return replace(check, status=status, done_at=done_at, symptomatic=symptomatic)


def _grace(order: Order) -> timedelta:
    return timedelta(minutes=order.content.terms.rule.grace_minutes)


def _instants(order: Order, at: datetime, *, backwards: bool = False) -> Iterator[datetime]:
    """The schedule's instants after `at`, nearest first; backwards: those at or before it."""
    terms = order.content.terms
    times = sorted(terms.rule.check_times, reverse=backwards)
    if not times:
        return
    day = at.astimezone(ZoneInfo(terms.zone)).date()
    step = timedelta(days=-1 if backwards else 1)
    while True:
        for one in times:
            instant = at_local(day, one, terms.zone)
            if instant <= at if backwards else instant > at:
                yield instant
        day += step
