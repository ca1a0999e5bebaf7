"""Signals: stored by consumers, judged by record, read by rules within an area and a span of
time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, any_, cast, func, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Row

from services.alerts.domain.readings import OF_THE_CASE, Reading, Standing
from services.alerts.domain.signals import Signal
from services.alerts.tables import (
    alert,
    alert_signal,
    case,
    person,
    place,
    signal,
    standard,
)
from shared.access import Viewer
from shared.areas import visible
from shared.database.rows import update, upsert
from shared.database.work import Work
from shared.policy import Reader

FACTS = (
    "record_kind",
    "record_id",
    "fact_version",
    "fact_event_id",
    "occurred_at",
    "point_kind",
    "point_id",
    "lit",
    "person_id",
    "person_count",
    "place_id",
    "place_area_id",
    "residence_area_id",
    "case_id",
    "test",
    "reason",
)
PLACES = ("place_id", "place_area_id", "residence_area_id")


async def store_readings(work: Work, readings: Sequence[Reading]) -> None:
    """Keep the newest version of each fact; the same or an older one changes nothing."""
    newest: dict[UUID, Reading] = {}
    for reading in sorted(readings, key=lambda item: item.fact_version):
        newest[reading.id] = reading
    if not newest:
        return
    # In order of id: two batches that meet wait for each other and do not deadlock.
    rows = [_row_of(signal_id, newest[signal_id]) for signal_id in sorted(newest)]
    await upsert(work, signal, rows, newer="fact_version")


def _row_of(signal_id: UUID, reading: Reading) -> dict[str, Any]:
    where = reading.where
    return {
        "id": signal_id,
        **{name: getattr(reading, name) for name in FACTS if name not in PLACES},
        **{name: getattr(where, name) for name in PLACES},
    }


async def lock_signals_of(work: Work, record_ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """All signals of these records, locked until the transaction ends, with what the copies say of
    them."""
    return (
        await work.execute(
            select(
                signal,
                place.c.area_id.label("known_place_area_id"),
                person.c.residence_area_id.label("known_residence_area_id"),
                or_(
                    signal.c.record_id == any_(case.c.set_aside),
                    signal.c.record_kind.in_(OF_THE_CASE) & ~case.c.standing,
                ).label("case_fallen"),
                case.c.standing.label("case_standing"),
                case.c.event_id.label("case_event_id"),
                case.c.reason.label("case_reason"),
            )
            .outerjoin(place, place.c.place_id == signal.c.place_id)
            .outerjoin(person, person.c.person_id == signal.c.person_id)
            .outerjoin(case, case.c.case_id == signal.c.case_id)
            .where(signal.c.record_id == any_(cast(list(record_ids), ARRAY(Uuid))))
            .order_by(signal.c.id)
            .with_for_update(of=signal, key_share=True)
        )
    ).all()


async def write_standings(work: Work, changes: Sequence[tuple[Row[Any], Standing, int]]) -> None:
    """What each signal amounts to now, and the version under which that is announced."""
    rows = [
        {
            "id": row.id,
            "standing": standing.standing,
            "area_id": standing.area_id,
            "home_area_id": standing.residence_area_id,
            "judged_fact_version": row.fact_version,
            "record_version": version,
        }
        for row, standing, version in changes
    ]
    await update(work, signal, rows, judged_at=work.now())


@dataclass(frozen=True, slots=True)
class Span:
    """What a rule looks at: its kinds, in an area's subtree, between two instants of event time,
    both included.

    `judged_area_id` is the area that is judged where that is another one; `households`: who lives
    with whom is asked too.
    """

    rule_id: str
    area_id: str
    point_kinds: frozenset[str]
    from_at: datetime
    until_at: datetime
    judged_area_id: str
    households: bool = False


async def standing_within(
    reader: Reader, spans: Sequence[Span], *, area_of: Literal["place", "residence"]
) -> list[tuple[int, str, Signal]]:
    """(number of the span, the area that counted, signal) for every standing signal in some
    span."""
    if not spans:
        return []
    column = "area_id" if area_of == "place" else "home_area_id"
    rows = await reader.execute(
        text(WITHIN[column]).bindparams(
            areas=[span.area_id for span in spans],
            rules=[span.rule_id for span in spans],
            kinds=[",".join(sorted(span.point_kinds)) for span in spans],
            froms=[span.from_at for span in spans],
            untils=[span.until_at for span in spans],
            judged=[span.judged_area_id for span in spans],
            households=[span.households for span in spans],
        )
    )
    return [
        (
            row.number - 1,
            row.counted_area_id,
            signal_of(row),
        )
        for row in rows
    ]


def signal_of(row: Row[Any]) -> Signal:
    """A row with the columns `SIGNAL`, `household_id` and `spent`."""
    return Signal(
        row.id,
        row.point_kind,
        row.point_id,
        row.occurred_at,
        row.person_id,
        row.person_count,
        row.place_id,
        row.area_id,
        row.spent,
        row.household_id,
    )


SIGNAL = """
    signal.id, signal.point_kind, signal.point_id, signal.occurred_at, signal.person_id,
    signal.person_count, signal.place_id, signal.area_id
"""
# With whom the person of a signal lived then.
HOUSEHOLD = """
    SELECT lives.group_id FROM alerts.household AS lives
    WHERE lives.person_id = signal.person_id AND lives.standing
        AND lives.from_at <= signal.occurred_at
        AND (lives.until_at IS NULL OR lives.until_at > signal.occurred_at)
    ORDER BY lives.from_at DESC, lives.group_id LIMIT 1
"""
# OFFSET 0 keeps the order of the joins: a plan made while the tables were empty starts from the
# signals, is kept with the prepared statement, and costs a hundred times as much an hour later.
WITHIN = {
    column: f"""
        SELECT span.number, signal.{column} AS counted_area_id, {SIGNAL},
            CASE WHEN span.households AND signal.person_id IS NOT NULL THEN ({HOUSEHOLD})
            END AS household_id,
            EXISTS (
                SELECT FROM alerts.alert_signal AS used
                JOIN alerts.alert AS ended ON ended.id = used.alert_id
                WHERE used.signal_id = signal.id AND ended.rule_id = span.rule_id
                    AND ended.area_id = span.judged_area_id
                    AND ended.state IN ('closed', 'dismissed') AND ended.quiet_at IS NULL
            ) AS spent
        FROM unnest(
            CAST(:areas AS text[]), CAST(:rules AS text[]), CAST(:kinds AS text[]),
            CAST(:froms AS timestamptz[]), CAST(:untils AS timestamptz[]),
            CAST(:judged AS text[]), CAST(:households AS boolean[])
        ) WITH ORDINALITY AS span(
            area_id, rule_id, kinds, from_at, until_at, judged_area_id, households, number
        )
        CROSS JOIN LATERAL (
            SELECT area_id FROM alerts.area WHERE ancestors @> ARRAY[span.area_id] OFFSET 0
        ) AS area
        CROSS JOIN LATERAL (
            SELECT * FROM alerts.signal AS found
            WHERE found.{column} = area.area_id AND found.standing
                AND found.occurred_at BETWEEN span.from_at AND span.until_at
                AND found.point_kind = ANY(string_to_array(span.kinds, ','))
            OFFSET 0
        ) AS signal
        """  # noqa: S608 - two column names of our own
    for column in ("area_id", "home_area_id")
}


def standing_of_records(record_ids: Sequence[UUID]) -> ColumnElement[bool]:
    return signal.c.standing & (signal.c.record_id == any_(cast(list(record_ids), ARRAY(Uuid))))


async def record_ids_where(reader: Reader, condition: ColumnElement[bool]) -> list[UUID]:
    """The records of the signals that meet a condition."""
    rows = await reader.execute(select(signal.c.record_id).where(condition).distinct())
    return [row.record_id for row in rows]


def of_cases(case_ids: Sequence[UUID]) -> ColumnElement[bool]:
    """What its fact has put out, no case lights."""
    return signal.c.case_id.in_(case_ids) & signal.c.lit


def idle_of_fallen_cases() -> ColumnElement[bool]:
    """Its case has fallen and no alert that stands rests on it: nothing else falls with it."""
    fallen = select(case.c.case_id).where(case.c.case_id == signal.c.case_id, ~case.c.standing)
    used = (
        select(alert_signal.c.alert_id)
        .join(alert, alert.c.id == alert_signal.c.alert_id)
        .where(alert_signal.c.signal_id == signal.c.id, alert.c.state != "withdrawn")
    )
    return fallen.exists() & ~used.exists()


def of_places(place_ids: Sequence[UUID]) -> ColumnElement[bool]:
    return signal.c.place_id.in_(place_ids)


def of_persons(person_ids: Sequence[UUID]) -> ColumnElement[bool]:
    return signal.c.person_id.in_(person_ids)


def in_areas(area_ids: Sequence[str]) -> ColumnElement[bool]:
    """Standing signals whose place or residence lies directly in one of these areas."""
    here = signal.c.area_id.in_(area_ids) | signal.c.home_area_id.in_(area_ids)
    return signal.c.standing & here


def of_kinds(point_kinds: Sequence[str]) -> ColumnElement[bool]:
    return signal.c.standing & signal.c.point_kind.in_(point_kinds)


@dataclass(frozen=True, slots=True)
class SignalFilter:
    """Which signals a viewer asks for; times are event time, `until_at` is not included."""

    area_id: str | None = None
    point_kind: str | None = None
    from_at: datetime | None = None
    until_at: datetime | None = None
    standing: bool | None = True


async def list_signals(
    reader: Reader, viewer: Viewer, wanted: SignalFilter, *, limit: int
) -> Sequence[Row[Any]]:
    """Newest in event time first."""
    return (
        await reader.execute(
            select(signal)
            .where(*_conditions(viewer, wanted))
            .order_by(signal.c.occurred_at.desc(), signal.c.id)
            .limit(limit)
        )
    ).all()


async def summarize_signals(
    reader: Reader, viewer: Viewer, wanted: SignalFilter, *, level: str | None
) -> Sequence[Row[Any]]:
    """Counts by area and kind; with `level`, areas below it are counted in their ancestor there."""
    area = standard.area
    upper = area.alias("upper")
    shown = area if level is None else upper
    source = signal.outerjoin(area, area.c.area_id == signal.c.area_id)
    if level is not None:
        source = source.outerjoin(
            upper,
            (upper.c.area_id == func.any(area.c.ancestors)) & (upper.c.level == level),
        )
    area_id = func.coalesce(shown.c.area_id, signal.c.area_id).label("area_id")
    return (
        await reader.execute(
            select(
                area_id,
                func.coalesce(shown.c.name, "").label("name"),
                func.coalesce(shown.c.name_en, "").label("name_en"),
                signal.c.point_kind,
                func.count().label("signals"),
                func.count(signal.c.point_id.distinct()).label("points"),
                func.count(signal.c.person_id.distinct()).label("persons"),
                func.min(signal.c.occurred_at).label("first_at"),
                func.max(signal.c.occurred_at).label("last_at"),
            )
            .select_from(source)
            .where(*_conditions(viewer, wanted))
            .group_by(area_id, shown.c.name, shown.c.name_en, signal.c.point_kind)
            .order_by(area_id, signal.c.point_kind)
        )
    ).all()


def _conditions(viewer: Viewer, wanted: SignalFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        visible(standard, viewer, signal.c.area_id),
        signal.c.record_version > 0,
    ]
    if wanted.standing is not None:
        found.append(signal.c.standing.is_(wanted.standing))
    if wanted.area_id is not None:
        area = standard.area
        inside = select(area.c.area_id).where(area.c.ancestors.contains([wanted.area_id]))
        found.append(or_(signal.c.area_id == wanted.area_id, signal.c.area_id.in_(inside)))
    if wanted.point_kind is not None:
        found.append(signal.c.point_kind == wanted.point_kind)
    if wanted.from_at is not None:
        found.append(signal.c.occurred_at >= wanted.from_at)
    if wanted.until_at is not None:
        found.append(signal.c.occurred_at < wanted.until_at)
    return found
