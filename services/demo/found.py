"""What the services have found, asked over HTTP and told in the town's own codes, line for line as
the truth tells it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.demo import truth
from services.demo.exposure import Contact
from services.demo.lights import Alert, Reason
from services.demo.measures import Breach, Order, Support
from services.demo.plan import Plan, id_of
from services.demo.stage import Stage
from services.demo.told import Balance
from services.demo.truth import State

PAGE_ROWS = 500
CASES_PAGE_ROWS = 1000


@dataclass(slots=True)
class Found:
    """The same sections as the truth; `alerts` are the answers themselves, for printing."""

    balance: list[str] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    before: State = field(default_factory=dict)
    after: State = field(default_factory=dict)
    alerts: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """The sections that the truth has too."""
        return {
            "balance": self.balance,
            "verdicts": self.verdicts,
            "before": self.before,
            "after": self.after,
        }


class Names:
    """From ids back to the town's codes. An id that is none of the town's stays as it is."""

    def __init__(self, plan: Plan, places: list[dict[str, Any]]) -> None:
        self._persons = {str(one.id): code for code, one in plan.town.persons.items()}
        sources = {str(id_of("source", code)): code for code in plan.town.sources}
        self._points: dict[str, str] = sources | {
            place["place_id"]: place["code"] for place in places
        }

    def person(self, person_id: str | None) -> str | None:
        return None if person_id is None else self._persons.get(person_id, person_id)

    def point(self, point_id: str) -> str:
        return self._points.get(point_id, point_id)


async def names_of(plan: Plan, stage: Stage) -> Names:
    return Names(plan, await stage.ask("/intake/places"))


async def look(stage: Stage, names: Names) -> State:
    """Everything that stands, and everything that was withdrawn."""
    cases = (await stage.ask("/tracing/cases", page_size=CASES_PAGE_ROWS))["cases"]
    contacts = await _contacts(stage, cases)
    orders = await _pages(stage, "/quarantine/orders", "orders", after="after")
    breaches = await _pages(stage, "/quarantine/breaches", "breaches", after="after")
    signals = (await stage.ask("/alerts/signals", limit=1000, standing="true"))["signals"]
    alerts = (await stage.ask("/alerts/alerts", limit=PAGE_ROWS))["alerts"]
    people = {case["id"]: names.person(case["person_id"]) for case in cases}
    rests_on = people | {one["id"]: people[case_id] for case_id, one in contacts}
    state = {
        "cases": [_case(one, names) for one in cases],
        "contacts": [_contact(one, people[case_id] or "", names) for case_id, one in contacts],
        "orders": [_order(one, rests_on, names) for one in orders],
        "breaches": [_breach(one, names) for one in breaches],
        "signals": [
            truth.signal_line(
                one["point_kind"], names.point(one["point_id"]), _instant(one["occurred_at"]),
                names.person(one["person_id"]),
            )
            for one in signals
        ],
        "alerts": [_alert_line(one, names) for one in alerts],
        "reasons": [
            truth.reason_line(one["rule_id"], one["area_id"], reason)
            for one in alerts
            if one["state"] != "withdrawn"
            for reason in reasons_of(one, names)
        ],
    }  # fmt: skip
    return {section: sorted(lines) for section, lines in state.items()}


async def look_at_alerts(stage: Stage) -> list[dict[str, Any]]:
    """Alerts with their whole explanation, the first to open first."""
    alerts: list[dict[str, Any]] = (await stage.ask("/alerts/alerts", limit=PAGE_ROWS))["alerts"]
    return sorted(alerts, key=lambda one: one["first_at"])


async def look_at_balance(stage: Stage, names: Names) -> list[str]:
    """What was told to senders. Sums that do not add up inside intake are a line of their own."""
    answer = await stage.ask("/intake/balance")
    balance: Balance = Counter()
    for line in answer["lines"]:
        for fate in ("stored", "duplicate", "rejected"):
            balance[names.point(line["source_id"]), line["day"], fate] += line[fate]
    crooked = [
        f"{line['source_name']} {line['day']} {line['door']} does not add up"
        for line in answer["lines"]
        if not line["balanced"]
    ]
    return [*truth.balance_lines(balance), *crooked]


def verdict_lines(answer: dict[str, Any]) -> list[str]:
    """What the gate said; the reason's code behind the verdict."""
    return [
        f"{row['external_id']} {row.get('verdict')}/{row.get('reason', {}).get('code')}"
        for row in answer["rows"]
        if str(row["external_id"]).startswith("gate/")
    ]


async def _contacts(stage: Stage, cases: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for case in cases:
        path, page, total = f"/tracing/cases/{case['id']}/contacts", 1, 1
        while (page - 1) * CASES_PAGE_ROWS < total:
            answer = await stage.ask(path, page=page, page_size=CASES_PAGE_ROWS)
            found += [(case["id"], one) for one in answer["contacts"]]
            page, total = page + 1, answer["total"]
    return found


async def _pages(stage: Stage, path: str, section: str, *, after: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        last = found[-1]["id"] if found else None
        rows = (await stage.ask(path, limit=PAGE_ROWS, **{after: last}))[section]
        found += rows
        if len(rows) < PAGE_ROWS:
            return found


def _case(one: dict[str, Any], names: Names) -> str:
    person = names.person(one["person_id"])
    if not one["standing"]:
        return f"{person} withdrawn"
    line = truth.case_line(person or "", _instant(one["reported_at"]))
    return line.replace("confirmed", one["classification"], 1)


def _contact(one: dict[str, Any], case: str, names: Names) -> str:
    person = names.person(one["person_id"]) or ""
    if not one["standing"]:
        return f"{case}→{person} withdrawn"
    return truth.contact_line(
        Contact(
            case, person, one["degree"], names.person(one["via_person_id"]),
            _instant(one["first_exposure_at"]), _instant(one["last_exposure_at"]),
            frozenset(reason["code"] for reason in one["reasons"]),
        )
    )  # fmt: skip


def _order(one: dict[str, Any], rests_on: dict[str, str | None], names: Names) -> str:
    person = names.person(one["person_id"]) or ""
    if one["status"] != "open":
        return f"{person} {one['kind']} {one['status']}"
    supports = [
        Support(
            rests_on.get(support["id"]) or support["id"], support["degree"], "",
            _instant(support["from_at"]), _instant(support["until_at"]),
        )
        for support in one["supports"]
    ]  # fmt: skip
    supports.sort(key=lambda support: (support.rests_on, support.degree))
    return truth.order_line(
        Order(
            person, one["kind"], one["measure"], _instant(one["from_at"]),
            _instant(one["until_at"]), tuple(supports),
        )
    )  # fmt: skip


def _breach(one: dict[str, Any], names: Names) -> str:
    breach = Breach(
        names.person(one["person_id"]) or "", "", names.point(one["place_id"]),
        _instant(one["occurred_at"]),
    )  # fmt: skip
    return truth.breach_line(breach, "standing" if one["standing"] else "withdrawn")


def reasons_of(one: dict[str, Any], names: Names) -> tuple[Reason, ...]:
    return tuple(
        Reason(
            reason["point_kind"], names.point(reason["point_id"]), reason["signal_count"],
            reason["person_count"], _instant(reason["first_at"]), _instant(reason["last_at"]),
        )
        for reason in one["reasons"]
    )  # fmt: skip


def _alert_line(one: dict[str, Any], names: Names) -> str:
    if one["state"] == "withdrawn":
        return f"{one['rule_id']} {one['area_id']} withdrawn"
    alert = Alert(
        one["rule_id"], one["rule_version"], one["title_zh"], one["title_en"], one["level"],
        one["area_id"], one["persons"], one["unlinked_persons"], reasons_of(one, names),
    )  # fmt: skip
    return truth.alert_line(alert).replace(" open ", f" {one['state']} ", 1)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
