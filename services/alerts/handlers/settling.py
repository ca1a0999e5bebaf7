"""Writes and says the difference between the alerts that stand and those that should."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Row

from services.alerts.domain.areas import Line
from services.alerts.domain.judgement import Decision
from services.alerts.domain.life import OVER, Step, state_after_step, step_of
from services.alerts.domain.rules import Rule
from services.alerts.domain.signals import Signal
from services.alerts.domain.silence import explain
from services.alerts.handlers.telling import (
    SILENT_IF_TOLD_MOST,
    alert_event,
    content_of,
    reason_of,
)
from services.alerts.repository.alerts import (
    Pair,
    change_evidence,
    insert_alerts,
    update_alerts,
)
from services.alerts.repository.excesses import change_excess_evidence
from shared.database.work import AuditDetails, Work
from shared.ids import new_id


@dataclass(slots=True)
class Touched:
    """Why a rule and area are judged: instants of event time, and the fact behind each changed
    signal."""

    line: Line
    times: list[datetime] = field(default_factory=list)
    causes: dict[UUID, UUID] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """An alert that stands (None: a new one) and what it should be (None: nothing).

    `before` is what it rests on; `quiet`: later evidence stands, further on than the quiet time, so
    this one has ended. `quiet_time` None: only a person ends it.
    """

    pair: Pair
    touched: Touched
    versions: Sequence[Rule]
    row: Row[Any] | None
    decision: Decision | None
    before: frozenset[UUID]
    quiet_time: timedelta | None
    quiet: bool = False


class Writer:
    """Collects the differences of one transaction and writes them together."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._opened: list[dict[str, Any]] = []
        self._changed: list[dict[str, Any]] = []
        self._added: list[tuple[UUID, Signal]] = []
        self._removed: list[tuple[UUID, UUID]] = []

    def settle(self, change: Change) -> None:
        """One alert's new version, if anything of it changed."""
        row, decision = change.row, change.decision
        evidence = {signal.id: signal for signal in decision.evidence} if decision else {}
        after = frozenset(evidence)
        state = row.state if row is not None else None
        step = step_of(state, before=change.before, after=after)
        if step is None:
            return
        content = content_of(decision) if decision else {}
        if row is not None and step == "revised" and change.before == after:
            stored = row._mapping
            same = all(stored[name] == value for name, value in content.items())
            if same and (stored["quiet_at"] is not None) >= change.quiet:
                return
        new = self._row(change, step, content)
        if decision:
            silence = explain(change.versions, decision)
            new |= {
                "silent_if": list(silence.removed[:SILENT_IF_TOLD_MOST]),
                "silent_if_text_zh": silence.text_zh,
                "silent_if_text_en": silence.text_en,
            }
            self._added += [(new["id"], evidence[one]) for one in sorted(after - change.before)]
            self._removed += [(new["id"], one) for one in sorted(change.before - after)]
            self._set_timer(change, new)
        new["reason"] = reason_of(step, new)
        new["cause_id"] = _cause(change.touched, change.before ^ after)
        (self._opened if step == "opened" else self._changed).append(new)
        self._say(new, step)

    def _row(self, change: Change, step: Step, content: dict[str, Any]) -> dict[str, Any]:
        row, now = change.row, self._work.now()
        if row is None:
            rule_id, area_id = change.pair
            kept: dict[str, Any] = {"id": new_id(), "record_version": 0, "opened_at": now}
            kept |= {"rule_id": rule_id, "area_id": area_id, "quiet_at": None}
        else:
            kept = dict(row._mapping)
        state = state_after_step(row.state if row is not None else None, step)
        if change.decision is not None and state == "closed":
            # It had ended by itself; what came late belongs to it.
            state = "open"
        return {
            **kept,
            **content,
            "record_version": kept["record_version"] + 1,
            "state": "closed" if change.quiet else state,
            "quiet_at": now if change.quiet else None,
            "changed_at": now,
        }

    def _set_timer(self, change: Change, new: dict[str, Any]) -> None:
        if change.quiet_time is not None and not change.quiet:
            self._work.timer("quiet", str(new["id"]), new["last_at"] + change.quiet_time)

    def end(self, row: Row[Any]) -> None:
        """Nothing more was seen for the rule's quiet time."""
        now = self._work.now()
        new = {
            **row._mapping,
            "record_version": row.record_version + 1,
            "state": "closed",
            "quiet_at": now,
            "changed_at": now,
            "reason": f"quiet: nothing more by rule {row.rule_id}@{row.rule_version}",
            "cause_id": None,
        }
        self._changed.append(new)
        self._say(new, "ended")

    def _say(self, row: dict[str, Any], step: str) -> None:
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
        # What has ended makes room for what begins: one live alert per rule and area.
        self._changed.sort(key=lambda row: row["state"] not in OVER)
        await update_alerts(self._work, self._changed)
        await insert_alerts(self._work, self._opened)
        await change_evidence(
            self._work,
            added=[(alert_id, one.id) for alert_id, one in self._added if one.excess is None],
            removed=self._removed,
        )
        await change_excess_evidence(self._work, added=self._added, removed=self._removed)


def _cause(touched: Touched, changed: frozenset[UUID]) -> UUID | None:
    """The fact behind a signal that came or went; of several the one with the lowest id, so that it
    is always the same."""
    causes = [touched.causes[signal_id] for signal_id in changed if signal_id in touched.causes]
    return min(causes or touched.causes.values(), default=None)
