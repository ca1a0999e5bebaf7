"""Judges alerts: what a rule says of an area now, against the alert that stands there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.engine import Row

from services.alerts.domain.areas import Line
from services.alerts.domain.judgement import Decision, PointReason, judge
from services.alerts.domain.life import Step, state_after_step, step_of
from services.alerts.domain.rules import Rule, longest_window
from services.alerts.domain.signals import Signal
from services.alerts.domain.silence import explain
from services.alerts.repository.alerts import (
    Pair,
    change_evidence,
    evidence_ids,
    insert_alerts,
    live_alerts,
    pair_lock,
    update_alerts,
)
from services.alerts.repository.areas import lines_of
from services.alerts.repository.rules import StoredRule, versions_by_id
from services.alerts.repository.signals import Span, standing_within
from shared.database.work import AuditDetails, Work
from shared.events.alerts import AlertChanged, AlertReason
from shared.ids import new_id

# An event has to fit into a log record; the alert's page shows all of them.
REASONS_TOLD_MOST = 200
SIGNALS_TOLD_MOST = 50
SILENT_IF_TOLD_MOST = 200


@dataclass(slots=True)
class Touched:
    """Why a rule and area are judged: instants of event time, and the fact behind each changed
    signal."""

    line: Line
    times: list[datetime] = field(default_factory=list)
    causes: dict[UUID, UUID] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """One rule and area with everything that decides it."""

    pair: Pair
    touched: Touched
    versions: Sequence[Rule]
    area_of: Literal["place", "residence"]
    area_level: str
    live: Row[Any] | None

    def span(self) -> Span | None:
        """Where evidence can have changed: around the changed signals, and where the alert stood.

        Windows that hold with a changed signal reach one length to either side of it. Windows that
        hold without it held before, so they lie where the alert's evidence lies.
        """
        times = list(self.touched.times)
        if self.live is not None and self.live.state != "withdrawn":
            times += [self.live.first_at, self.live.last_at]
        if not times or not self.versions:
            return None
        margin = longest_window(self.versions)
        kinds = frozenset[str]().union(*(version.point_kinds for version in self.versions))
        return Span(*self.pair, kinds, min(times) - margin, max(times) + margin)


async def judge_pairs(
    work: Work, touched: Mapping[Pair, Touched], rules: Sequence[StoredRule]
) -> None:
    """Open, join, revise or withdraw the alert of each rule and area; says nothing where nothing
    changed.

    What is read after the lock is all that was committed, so of several transactions with one
    signal each the last to judge sees them all.
    """
    if not touched:
        return
    await work.lock(*(pair_lock(pair) for pair in touched))
    live = await live_alerts(work, list(touched))
    stored = versions_by_id(rules)
    asked = [
        _ask(pair, touched[pair], stored.get(pair[0], []), live.get(pair))
        for pair in sorted(touched)
    ]
    signals = await _signals(work, asked)
    evidence = await evidence_ids(work, [row.id for row in live.values()])
    writer = _Writer(work)
    for one in asked:
        decision = judge(one.versions, signals.get(one.pair, ()))
        before = evidence[one.live.id] if one.live is not None else frozenset()
        writer.settle(one, decision, before)
    await writer.write()


def _ask(
    pair: Pair, touched: Touched, stored: Sequence[StoredRule], live: Row[Any] | None
) -> Asked:
    line = touched.line
    versions = [
        rule.in_zone(line.zone)
        for rule in stored
        if rule.area_id is None or rule.area_id in line.area_ids
    ]
    if not versions:
        return Asked(pair, touched, (), "place", line.level, live)
    scope = stored[-1].document
    return Asked(pair, touched, versions, scope.area_of, scope.area_level, live)


async def _signals(work: Work, asked: Sequence[Asked]) -> dict[Pair, list[Signal]]:
    """The standing signals of each pair: those whose area, at the rule's level, is the pair's
    area."""
    found: dict[Pair, list[Signal]] = {}
    sides: tuple[Literal["place", "residence"], ...] = ("place", "residence")
    for area_of in sides:
        here = [(one, span) for one in asked if one.area_of == area_of and (span := one.span())]
        rows = await standing_within(work, [span for _, span in here], area_of=area_of)
        # Where a level is absent the next higher area stands in, for the signals below it that
        # have no nearer one.
        higher = {one.pair for one, _ in here if one.touched.line.level != one.area_level}
        below = await lines_of(
            work, {area_id for number, area_id, _ in rows if here[number][0].pair in higher}
        )
        for number, area_id, signal in rows:
            one = here[number][0]
            if one.pair in higher:
                counted = below[area_id].at_level(one.area_level)
                if counted is None or counted.steps[0].area_id != one.pair[1]:
                    continue
            found.setdefault(one.pair, []).append(signal)
    return found


class _Writer:
    """Collects the differences of one transaction and writes them together."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._opened: list[dict[str, Any]] = []
        self._changed: list[dict[str, Any]] = []
        self._added: list[tuple[UUID, UUID]] = []
        self._removed: list[tuple[UUID, UUID]] = []

    def settle(self, one: Asked, decision: Decision | None, before: frozenset[UUID]) -> None:
        """Write and say the difference between what stands and what should."""
        live = one.live
        after = frozenset(signal.id for signal in decision.evidence) if decision else frozenset()
        step = step_of(live.state if live is not None else None, before=before, after=after)
        if step is None:
            return
        content = _content(decision) if decision else {}
        if live is not None and step == "revised" and before == after:
            stored = live._mapping
            if all(stored[name] == value for name, value in content.items()):
                return
        row = self._row(one, step, content)
        if decision:
            silence = explain(one.versions, decision)
            row |= {
                "silent_if": list(silence.removed[:SILENT_IF_TOLD_MOST]),
                "silent_if_text_zh": silence.text_zh,
                "silent_if_text_en": silence.text_en,
            }
            self._added += [(row["id"], signal_id) for signal_id in sorted(after - before)]
            self._removed += [(row["id"], signal_id) for signal_id in sorted(before - after)]
        row["reason"] = _reason(step, row)
        row["cause_id"] = _cause(one.touched, before ^ after)
        (self._opened if step == "opened" else self._changed).append(row)
        self._say(row, step)

    def _row(self, one: Asked, step: Step, content: dict[str, Any]) -> dict[str, Any]:
        live, now = one.live, self._work.now()
        if live is None:
            rule_id, area_id = one.pair
            kept: dict[str, Any] = {"id": new_id(), "record_version": 0, "opened_at": now}
            kept |= {"rule_id": rule_id, "area_id": area_id}
        else:
            kept = dict(live._mapping)
        return {
            **kept,
            **content,
            "record_version": kept["record_version"] + 1,
            "state": state_after_step(live.state if live is not None else None, step),
            "changed_at": now,
        }

    def _say(self, row: dict[str, Any], step: Step) -> None:
        self._work.announce(alert_event(row))
        self._work.audit(
            f"alert_{step}",
            "alert",
            row["id"],
            version=row["record_version"],
            details=AuditDetails(
                area_id=row["area_id"],
                reason=row["reason"],
                policy=f"{row['rule_id']}@{row['rule_version']}",
                cause_id=row["cause_id"],
            ),
        )

    async def write(self) -> None:
        await insert_alerts(self._work, self._opened)
        await update_alerts(self._work, self._changed)
        await change_evidence(self._work, added=self._added, removed=self._removed)


def alert_event(row: Mapping[str, Any]) -> AlertChanged:
    """The announcement of an alert as its row stands; event time is that of its newest evidence."""
    return AlertChanged(
        record_id=row["id"],
        record_version=row["record_version"],
        occurred_at=row["last_at"],
        recorded_at=row["changed_at"],
        rule_id=row["rule_id"],
        rule_version=row["rule_version"],
        title_zh=row["title_zh"],
        title_en=row["title_en"],
        area_id=row["area_id"],
        level=row["level"],
        state=row["state"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        points=row["points"],
        persons=row["persons"],
        unlinked_persons=row["unlinked_persons"],
        reasons=tuple(AlertReason.model_validate(reason) for reason in row["reasons"]),
        silent_if=tuple(row["silent_if"]),
        silent_if_text_zh=row["silent_if_text_zh"],
        silent_if_text_en=row["silent_if_text_en"],
        reason=row["reason"],
        cause_id=row["cause_id"],
    )


def _content(decision: Decision) -> dict[str, Any]:
    rule, reasons = decision.rule, decision.reasons
    return {
        "rule_version": rule.version,
        "title_zh": rule.title_zh,
        "title_en": rule.title_en,
        "level": rule.level,
        "first_at": decision.first_at,
        "last_at": decision.last_at,
        "points": len(reasons),
        "persons": decision.persons,
        "unlinked_persons": decision.unlinked,
        "reasons": [_told(reason) for reason in reasons[:REASONS_TOLD_MOST]],
    }


def _told(reason: PointReason) -> dict[str, Any]:
    first = reason.signals[0]
    return AlertReason(
        point_kind=reason.point[0],
        point_id=reason.point[1],
        place_id=first.place_id,
        area_id=first.area_id,
        signal_count=len(reason.signals),
        person_count=reason.person_count,
        first_at=reason.first_at,
        last_at=reason.last_at,
        signal_ids=tuple(signal.id for signal in reason.signals[:SIGNALS_TOLD_MOST]),
    ).model_dump(mode="json")


def _reason(step: Step, row: Mapping[str, Any]) -> str:
    rule = f"{row['rule_id']}@{row['rule_version']}"
    if step == "withdrawn":
        return f"evidence fell: rule {rule} no longer holds"
    unlinked = f" and {row['unlinked_persons']} unnamed" if row["unlinked_persons"] else ""
    return f"{step} by rule {rule}: {row['points']} points, {row['persons']} persons{unlinked}"


def _cause(touched: Touched, changed: frozenset[UUID]) -> UUID | None:
    """The fact behind a signal that came or went; of several the one with the lowest id, so that it
    is always the same."""
    causes = [touched.causes[signal_id] for signal_id in changed if signal_id in touched.causes]
    return min(causes or touched.causes.values(), default=None)
