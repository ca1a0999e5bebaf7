"""Days of series as points: read by rules within areas and a span of days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, insert, select, text, tuple_

from services.alerts.domain.areas import LEVELS
from services.alerts.domain.excess import Excess
from services.alerts.domain.signals import Consent, Signal, signal_of_excess
from services.alerts.repository.columns import given
from services.alerts.repository.series import KEY, SeriesKey, excess_of
from services.alerts.tables import alert_excess, series_day, standard
from shared.database.work import Work
from shared.policy import Reader

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SumSpan:
    """What a rule looks at: series of its kinds in one area, between two instants; only days that
    may light a point, with a p-value of at most `p_most` or a count above their limit.

    `judged_area_id` is the area that is judged; `own`: this one is it, `as_point` names the
    point.
    """

    rule_id: str
    judged_area_id: str
    area_id: str
    as_point: str
    own: bool
    point_kinds: frozenset[str]
    p_most: float
    from_at: datetime
    until_at: datetime


async def lit_within(reader: Reader, spans: Sequence[SumSpan]) -> list[tuple[int, Signal]]:
    """(number of the span, the day as a signal) for every day that may light a point."""
    if not spans:
        return []
    rows = await reader.execute(
        WITHIN,
        {
            "areas": [span.area_id for span in spans],
            "judged": [span.judged_area_id for span in spans],
            "rules": [span.rule_id for span in spans],
            "kinds": [",".join(sorted(span.point_kinds)) for span in spans],
            "most": [span.p_most for span in spans],
            # A local day may lie a day to either side of the one in UTC.
            "froms": [span.from_at.date() - DAY for span in spans],
            "untils": [span.until_at.date() + DAY for span in spans],
        },
    )
    found: list[tuple[int, Signal]] = []
    for row in rows:
        span = spans[row.number - 1]
        signal = signal_of_excess(
            excess_of(row),
            row.zone,
            point_area_id=span.as_point,
            own=span.own,
            spent=row.spent,
            consents=_consents(row.consents) if span.own else (),
        )
        if span.from_at <= signal.occurred_at <= span.until_at:
            found.append((row.number - 1, signal))
    return found


WITHIN = text(
    """
    SELECT span.number, series.*, area.zone,
        EXISTS (
            SELECT FROM alerts.alert_excess AS used
            JOIN alerts.alert AS ended ON ended.id = used.alert_id
            WHERE used.area_id = series.area_id AND used.point_kind = series.point_kind
                AND used.syndrome = series.syndrome AND used.day = series.day
                AND ended.rule_id = span.rule_id AND ended.area_id = span.judged_area_id
                AND ended.state IN ('closed', 'dismissed') AND ended.quiet_at IS NULL
        ) AS spent,
        (
            SELECT jsonb_agg(jsonb_build_array(told.rule_version, told.p_value, told.q_value,
                told.lit, told.null_days, told.streams) ORDER BY told.rule_version)
            FROM alerts.consensus AS told
            WHERE told.rule_id = span.rule_id AND told.area_id = series.area_id
                AND told.day = series.day
        ) AS consents
    FROM unnest(
        CAST(:areas AS text[]), CAST(:judged AS text[]), CAST(:rules AS text[]),
        CAST(:kinds AS text[]), CAST(:most AS double precision[]), CAST(:froms AS date[]),
        CAST(:untils AS date[])
    ) WITH ORDINALITY AS span(
        area_id, judged_area_id, rule_id, kinds, most, from_day, until_day, number
    )
    JOIN alerts.area AS area ON area.area_id = span.area_id
    JOIN alerts.series_day AS series ON series.area_id = span.area_id
        AND series.point_kind = ANY(string_to_array(span.kinds, ','))
        AND series.day BETWEEN span.from_day AND span.until_day
    WHERE series.abstains = 0
        AND (series.p_value <= span.most OR series.persons > series.limit_count)
    """
)


CONCERNED = text(
    f"""
    SELECT given.area_id, given.point_kind, given.syndrome, given.day
    FROM {given(KEY | {"most": "double precision"})}
    WHERE EXISTS (
        SELECT FROM alerts.series_day AS series
        WHERE series.area_id = given.area_id AND series.point_kind = given.point_kind
            AND series.syndrome = given.syndrome AND series.day = given.day
            AND series.abstains = 0
            AND (series.p_value <= given.most OR series.persons > series.limit_count)
        OFFSET 0
    ) OR EXISTS (
        SELECT FROM alerts.alert_excess AS used
        WHERE used.area_id = given.area_id AND used.point_kind = given.point_kind
            AND used.syndrome = given.syndrome AND used.day = given.day
        OFFSET 0
    )
    """  # noqa: S608 - columns of our own
)


async def that_light_or_did(
    reader: Reader, keys: Sequence[SeriesKey], most: Mapping[str, float]
) -> frozenset[SeriesKey]:
    """The days that may light a point now, or that some alert rests on: nearly all that change do
    neither. `most`: by kind, the largest p-value that any rule asks for."""
    asked: dict[str, list[Any]] = {name: [key[at] for key in keys] for at, name in enumerate(KEY)}
    asked["most"] = [most.get(key.point_kind, 0.0) for key in keys]
    rows = await reader.execute(CONCERNED, asked)
    return frozenset(SeriesKey._make(row) for row in rows)


def _consents(told: list[list[Any]] | None) -> tuple[Consent, ...]:
    return tuple(
        Consent(version, p_value, q_value, lit, null_days, tuple(streams))
        for version, p_value, q_value, lit, null_days, streams in told or ()
    )


async def excess_ids(reader: Reader, alert_ids: Sequence[UUID]) -> dict[UUID, frozenset[UUID]]:
    """The days of series that each alert rests on, by their derived ids."""
    found: dict[UUID, frozenset[UUID]] = dict.fromkeys(alert_ids, frozenset())
    if found:
        rows = await reader.execute(
            select(
                alert_excess.c.alert_id,
                func.array_agg(alert_excess.c.excess_id).label("excess_ids"),
            )
            .where(alert_excess.c.alert_id.in_(alert_ids))
            .group_by(alert_excess.c.alert_id)
        )
        found |= {row.alert_id: frozenset(row.excess_ids) for row in rows}
    return found


async def change_excess_evidence(
    work: Work, *, added: Sequence[tuple[UUID, Signal]], removed: Sequence[tuple[UUID, UUID]]
) -> None:
    """Pairs of (alert id, day of a series) and of (alert id, its derived id)."""
    if removed:
        await work.execute(
            delete(alert_excess).where(
                tuple_(alert_excess.c.alert_id, alert_excess.c.excess_id).in_(removed)
            )
        )
    rows = [
        {
            "alert_id": alert_id,
            "excess_id": signal.id,
            "area_id": signal.excess.area_id,
            "point_kind": signal.excess.point_kind,
            "syndrome": signal.excess.syndrome,
            "day": signal.excess.day,
        }
        for alert_id, signal in added
        if signal.excess is not None
    ]
    if rows:
        await work.execute(insert(alert_excess), rows)


async def child_levels_of(reader: Reader, area_ids: Sequence[str]) -> dict[str, set[str]]:
    """The levels of the children of each area."""
    if not area_ids:
        return {}
    area = standard.area
    rows = await reader.execute(
        select(area.c.parent_id, area.c.level).where(area.c.parent_id.in_(area_ids)).distinct()
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.parent_id, set()).add(row.level)
    return found


async def series_on(
    reader: Reader, kinds: Sequence[str], days: Sequence[date], level: str
) -> list[Excess]:
    """Every judged day of these kinds, of all areas whose sums are sums of this level."""
    area, child = standard.area, standard.area.alias("child")
    below = LEVELS[LEVELS.index(level) + 1 :]
    no_such_level = exists().where(child.c.parent_id == area.c.area_id, child.c.level.in_(below))
    stands_in = area.c.level.in_(LEVELS[: LEVELS.index(level)]) & no_such_level
    rows = await reader.execute(
        select(series_day)
        .join(area, area.c.area_id == series_day.c.area_id)
        .where(
            series_day.c.point_kind.in_(kinds),
            series_day.c.day.in_(days),
            series_day.c.abstains == 0,
            series_day.c.p_value.is_not(None),
            (area.c.level == level) | stands_in,
        )
    )
    return [excess_of(row) for row in rows]


async def keys_that_may_light(
    reader: Reader, kinds: Sequence[str], from_day: date, p_most: float
) -> list[str]:
    """The keys of `excess` for every day from this one on that may light a point."""
    rows = await reader.execute(
        select(
            series_day.c.area_id, series_day.c.point_kind, series_day.c.syndrome, series_day.c.day
        ).where(
            series_day.c.point_kind.in_(kinds),
            series_day.c.day >= from_day,
            series_day.c.abstains == 0,
            (series_day.c.p_value <= p_most) | (series_day.c.persons > series_day.c.limit_count),
        )
    )
    return [f"{row.area_id}/{row.point_kind}/{row.syndrome}/{row.day.isoformat()}" for row in rows]
