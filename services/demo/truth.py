"""The truth file: what must be found, worked out from plan and figures, without the services.

Everything is a line of text per record, in the town's own codes. Two states that say the same are
the same set of lines, and a difference can be read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.demo.exposure import Contact, World
from services.demo.figures import Figures
from services.demo.lights import Alert, Reason, alerts_of, signals_of
from services.demo.measures import Breach, Order, breaches_of, orders_of
from services.demo.outbreak import cases_of
from services.demo.plan import Parcel, Plan
from services.demo.told import Balance, take

# section → lines
State = dict[str, list[str]]
SECTIONS = ("cases", "contacts", "orders", "breaches", "signals", "alerts", "reasons")


@dataclass(frozen=True, slots=True)
class Truth:
    """`before` and `after` the first case is discarded; the balance and the verdicts at the end."""

    balance: list[str]
    verdicts: list[str]
    before: State
    after: State

    def as_dict(self) -> dict[str, object]:
        return {
            "balance": self.balance,
            "verdicts": self.verdicts,
            "before": self.before,
            "after": self.after,
        }


@dataclass(frozen=True, slots=True)
class _Moment:
    contacts: list[Contact]
    orders: list[Order]
    breaches: list[Breach]
    alerts: list[Alert]
    state: State


def work_out(plan: Plan, figures: Figures) -> Truth:
    """What the services must have found before the first case is discarded, and in the end."""
    turning = next(index for index, one in enumerate(plan.parcels) if one.discard)
    before = _moment(plan, figures, parcels=plan.parcels[:turning], discarded=frozenset())
    after = _moment(plan, figures, parcels=plan.parcels, discarded=frozenset({plan.roles["first"]}))
    balance, _ = take(plan.parcels)
    return Truth(
        balance=balance_lines(balance),
        verdicts=_verdicts(plan),
        before=before.state,
        after=_with_withdrawn(plan, before, after),
    )


def _moment(
    plan: Plan, figures: Figures, *, parcels: Sequence[Parcel], discarded: frozenset[str]
) -> _Moment:
    _, facts = take(parcels)
    cases = cases_of(facts, discarded)
    world = World(plan.town, facts, figures.windows)
    contacts = world.contacts(cases)
    orders = orders_of(cases, contacts, figures.measures)
    breaches = breaches_of(orders, facts, plan.town, figures.measures)
    standing = frozenset(case.person for case in cases)
    together = world.together(cases)
    signals = signals_of(facts, standing, breaches, together, (plan.town, figures))
    alerts = alerts_of(signals, plan.town, figures)
    state: State = {
        "cases": sorted(case_line(case.person, case.reported_at) for case in cases),
        "contacts": sorted(map(contact_line, contacts)),
        "orders": sorted(map(order_line, orders)),
        "breaches": sorted(breach_line(one, "standing") for one in breaches),
        "signals": sorted(
            signal_line(one.kind, one.point, one.occurred_at, one.person) for one in signals
        ),
        "alerts": sorted(alert_line(one) for one in alerts),
        "reasons": sorted(
            reason_line(one.rule, one.area, reason) for one in alerts for reason in one.reasons
        ),
    }
    return _Moment(contacts, orders, breaches, alerts, state)


def _with_withdrawn(plan: Plan, before: _Moment, after: _Moment) -> State:
    """The end also shows what had stood and no longer does."""
    still_ordered = {(one.person, one.kind) for one in after.orders}
    still_contact = {(one.case, one.person) for one in after.contacts}
    still_alert = {(one.rule, one.area) for one in after.alerts}
    state = {name: list(lines) for name, lines in after.state.items()}
    state["cases"].append(f"{plan.roles['first']} withdrawn")
    state["contacts"] += [
        f"{one.case}→{one.person} withdrawn"
        for one in before.contacts
        if (one.case, one.person) not in still_contact
    ]
    state["orders"] += [
        f"{one.person} {one.kind} withdrawn"
        for one in before.orders
        if (one.person, one.kind) not in still_ordered
    ]
    state["breaches"] += [
        breach_line(one, "withdrawn") for one in before.breaches if one not in after.breaches
    ]
    state["alerts"] += [
        f"{one.rule} {one.area} withdrawn"
        for one in before.alerts
        if (one.rule, one.area) not in still_alert
    ]
    return {name: sorted(lines) for name, lines in state.items()}


def _verdicts(plan: Plan) -> list[str]:
    """What the persons of the story are told at the station."""
    told = {"traveller": "hold/fever", "runaway": "hold/order", "permitted": "check/permit"}
    told["early"] = "pass/clear"
    return sorted(f"gate/{plan.roles[role]} {verdict}" for role, verdict in told.items())


def balance_lines(balance: Balance) -> list[str]:
    """`source day received=… stored=… duplicate=… rejected=…`, one per source and day."""
    rows: dict[tuple[str, str], Counter[str]] = {}
    for (source, day, fate), count in balance.items():
        rows.setdefault((source, day), Counter())[fate] += count
    return sorted(
        f"{source} {day} received={fates.total()} stored={fates['stored']}"
        f" duplicate={fates['duplicate']} rejected={fates['rejected']}"
        for (source, day), fates in rows.items()
    )


def moment_text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def case_line(person: str, reported_at: datetime) -> str:
    return f"{person} confirmed reported {moment_text(reported_at)}"


def contact_line(one: Contact) -> str:
    via = f" via {one.via}" if one.via else ""
    codes = "+".join(sorted(one.codes))
    return (
        f"{one.case}→{one.person} {one.degree}{via} {moment_text(one.first_at)}"
        f"…{moment_text(one.last_at)} {codes}"
    )


def order_line(one: Order) -> str:
    rests_on = "+".join(f"{support.rests_on}:{support.degree}" for support in one.supports)
    return (
        f"{one.person} {one.kind} open {one.measure} {moment_text(one.from_at)}"
        f"…{moment_text(one.until_at)} on {rests_on}"
    )


def breach_line(one: Breach, standing: str) -> str:
    return f"{one.person} at {one.place} {moment_text(one.occurred_at)} {standing}"


def signal_line(kind: str, point: str, occurred_at: datetime, person: str | None) -> str:
    return f"{kind} {point} {moment_text(occurred_at)} {person or 'unnamed'}"


def alert_line(one: Alert) -> str:
    return (
        f"{one.rule} {one.area} open {one.level} version={one.version} persons={one.persons}"
        f" unlinked={one.unlinked} points={len(one.reasons)} {one.title_zh} / {one.title_en}"
    )


def reason_line(rule: str, area: str, one: Reason) -> str:
    return (
        f"{rule} {area} {one.kind} {one.point} signals={one.signals} persons={one.persons}"
        f" {moment_text(one.first_at)}…{moment_text(one.last_at)}"
    )
