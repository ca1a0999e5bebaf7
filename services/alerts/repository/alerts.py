"""Alerts and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.engine import Row

from services.alerts.tables import alert, alert_signal, signal, standard
from shared.access import Viewer
from shared.areas import visible
from shared.database.work import Work
from shared.policy import Reader

# (rule id, area id): what an alert is about.
Pair = tuple[str, str]
area = standard.area
# What never changes in an alert's life.
KEPT = frozenset({"id", "rule_id", "area_id", "opened_at"})
LIVE = alert.c.state.not_in(["closed", "dismissed"])
# Not ended by a person: what it rests on is not used up.
STANDING = LIVE | alert.c.quiet_at.is_not(None)


def pair_lock(pair: Pair) -> str:
    """The name under which one transaction at a time writes the alert of a rule and area."""
    return f"alert/{pair[0]}/{pair[1]}"


async def live_alerts(reader: Reader, pairs: Sequence[Pair]) -> dict[Pair, Row[Any]]:
    """The one live alert of each pair that has one; of several withdrawn ones the youngest."""
    if not pairs:
        return {}
    rows = await reader.execute(
        select(alert)
        .where(LIVE, tuple_(alert.c.rule_id, alert.c.area_id).in_(pairs))
        .order_by(alert.c.state != "withdrawn", alert.c.id)
    )
    return {(row.rule_id, row.area_id): row for row in rows}


async def alerts_near(
    reader: Reader, spans: Mapping[Pair, tuple[datetime, datetime]]
) -> dict[Pair, list[Row[Any]]]:
    """Of each pair the alerts that no person has ended and whose evidence touches the span, the
    oldest evidence first."""
    found: dict[Pair, list[Row[Any]]] = {}
    if spans:
        near = [
            (alert.c.rule_id == rule_id)
            & (alert.c.area_id == area_id)
            & (alert.c.last_at >= from_at)
            & (alert.c.first_at <= until_at)
            for (rule_id, area_id), (from_at, until_at) in spans.items()
        ]
        rows = await reader.execute(
            select(alert).where(STANDING, or_(*near)).order_by(alert.c.first_at, alert.c.id)
        )
        for row in rows:
            found.setdefault((row.rule_id, row.area_id), []).append(row)
    return found


async def alerts_by_id(reader: Reader, alert_ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    return (await reader.execute(select(alert).where(alert.c.id.in_(alert_ids)))).all()


async def live_pairs(reader: Reader, condition: ColumnElement[bool]) -> list[Pair]:
    rows = await reader.execute(select(alert.c.rule_id, alert.c.area_id).where(LIVE, condition))
    return [(row.rule_id, row.area_id) for row in rows]


async def evidence_ids(reader: Reader, alert_ids: Sequence[UUID]) -> dict[UUID, frozenset[UUID]]:
    """The signals of each alert."""
    found: dict[UUID, frozenset[UUID]] = dict.fromkeys(alert_ids, frozenset())
    if found:
        rows = await reader.execute(
            select(
                alert_signal.c.alert_id,
                func.array_agg(alert_signal.c.signal_id).label("signal_ids"),
            )
            .where(alert_signal.c.alert_id.in_(alert_ids))
            .group_by(alert_signal.c.alert_id)
        )
        found |= {row.alert_id: frozenset(row.signal_ids) for row in rows}
    return found


async def insert_alerts(work: Work, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        await work.execute(insert(alert), rows)


async def update_alerts(work: Work, rows: Sequence[dict[str, Any]]) -> None:
    """All in one go: the statements travel together."""
    if not rows:
        return
    names = [name for name in rows[0] if name not in KEPT]
    await work.execute(
        update(alert)
        .where(alert.c.id == bindparam("alert_id"))
        .values({name: bindparam(f"now_{name}") for name in names}),
        [{"alert_id": row["id"], **{f"now_{name}": row[name] for name in names}} for row in rows],
    )


async def change_evidence(
    work: Work, *, added: Sequence[tuple[UUID, UUID]], removed: Sequence[tuple[UUID, UUID]]
) -> None:
    """Pairs of (alert id, signal id)."""
    if removed:
        await work.execute(
            delete(alert_signal).where(
                tuple_(alert_signal.c.alert_id, alert_signal.c.signal_id).in_(removed)
            )
        )
    if added:
        await work.execute(
            insert(alert_signal),
            [{"alert_id": alert_id, "signal_id": signal_id} for alert_id, signal_id in added],
        )


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts a viewer asks for; `area_id` includes everything below it."""

    states: Sequence[str] = ()
    area_id: str | None = None
    levels: Sequence[str] = ()
    rule_id: str | None = None
    before_id: UUID | None = None


async def list_alerts(
    reader: Reader, viewer: Viewer, wanted: AlertFilter, *, limit: int
) -> Sequence[Row[Any]]:
    """The youngest first."""
    conditions: list[ColumnElement[bool]] = [visible(standard, viewer, alert.c.area_id)]
    if wanted.states:
        conditions.append(alert.c.state.in_(wanted.states))
    if wanted.levels:
        conditions.append(alert.c.level.in_(wanted.levels))
    if wanted.rule_id:
        conditions.append(alert.c.rule_id == wanted.rule_id)
    if wanted.before_id:
        conditions.append(alert.c.id < wanted.before_id)
    if wanted.area_id:
        inside = select(area.c.area_id).where(area.c.ancestors.contains([wanted.area_id]))
        conditions.append(or_(alert.c.area_id == wanted.area_id, alert.c.area_id.in_(inside)))
    return (
        await reader.execute(
            _with_area_name().where(*conditions).order_by(alert.c.id.desc()).limit(limit)
        )
    ).all()


async def find_alert(reader: Reader, viewer: Viewer, alert_id: UUID) -> Row[Any] | None:
    """None also when it lies outside the viewer's areas."""
    return (
        await reader.execute(
            _with_area_name().where(
                alert.c.id == alert_id, visible(standard, viewer, alert.c.area_id)
            )
        )
    ).first()


def _with_area_name() -> Select[Any]:
    return select(
        alert,
        func.coalesce(area.c.name, "").label("area_name"),
        func.coalesce(area.c.name_en, "").label("area_name_en"),
    ).outerjoin(area, area.c.area_id == alert.c.area_id)


async def records_of(reader: Reader, alert_id: UUID, *, limit: int) -> Sequence[Row[Any]]:
    """The signals that an alert rests on, in order of event time."""
    return (
        await reader.execute(
            select(signal)
            .join(alert_signal, alert_signal.c.signal_id == signal.c.id)
            .where(alert_signal.c.alert_id == alert_id)
            .order_by(signal.c.occurred_at, signal.c.id)
            .limit(limit)
        )
    ).all()


async def trail_of(reader: Reader, record_id: UUID) -> Sequence[Row[Any]]:
    """Everything that was done to a record, in order."""
    audit = standard.audit
    return (
        await reader.execute(
            select(audit).where(audit.c.record_id == str(record_id)).order_by(audit.c.id)
        )
    ).all()
