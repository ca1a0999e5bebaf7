"""Series by day: their counts and judgements, written by evaluators, read by rules and the door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.engine import Row

from services.alerts.domain.detection.verdict import Abstention
from services.alerts.domain.excess import Excess
from services.alerts.repository.columns import column, given
from services.alerts.repository.counts import SERIES
from services.alerts.repository.fits import Topic
from services.alerts.tables import series_day, standard
from shared.access import Viewer
from shared.areas import visible
from shared.database.work import Work
from shared.policy import Reader


class SeriesKey(NamedTuple):
    """One series on one day."""

    area_id: str
    point_kind: str
    syndrome: str
    day: date


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What is to be stored, by column; `observed` is what was judged upon."""

    keys: Sequence[SeriesKey]
    observed: Sequence[int]
    expected: Sequence[float | None]
    limits: Sequence[float | None]
    p_values: Sequence[float | None]
    methods: Sequence[str]
    abstains: Sequence[int]


VERDICT = SERIES | {
    "observed": "integer",
    "expected": "float8",
    "limit_count": "float8",
    "p_value": "float8",
    "method": "text",
    "abstains": "smallint",
}
WRITE = text(
    f"""
    UPDATE alerts.series_day AS series
    SET judged_persons = given.observed, expected = given.expected,
        limit_count = given.limit_count, p_value = given.p_value,
        method = given.method, abstains = given.abstains, version = series.version + 1,
        judged_at = :judged_at
    FROM {given(VERDICT)}
    WHERE series.area_id = given.area_id AND series.point_kind = given.point_kind
        AND series.syndrome = given.syndrome AND series.day = given.day
    """  # noqa: S608 - columns of our own
)
SILENT = text(
    """
    INSERT INTO alerts.series_day
        (area_id, point_kind, syndrome, day, persons, seen, records, sites, size_milli,
         doubt_milli)
    SELECT area_id, :point_kind, :syndrome, day, 0, 0, 0, 0, 0, 0
    FROM unnest(CAST(:areas AS text[]), CAST(:days AS date[])) AS given (area_id, day)
    ON CONFLICT DO NOTHING
    """
)


async def write_verdicts(work: Work, verdicts: Verdicts) -> None:
    """New judgements, each a new version."""
    if not verdicts.keys:
        return
    await work.execute(
        WRITE,
        {
            "judged_at": work.now(),
            **{name: column([key[at] for key in verdicts.keys]) for at, name in enumerate(SERIES)},
            "observed": column(verdicts.observed),
            "expected": column(verdicts.expected),
            "limit_count": column(verdicts.limits),
            "p_value": column(verdicts.p_values),
            "method": column(verdicts.methods),
            "abstains": column(verdicts.abstains),
        },
    )


async def add_silent(work: Work, topic: Topic, silent: Sequence[tuple[str, date]]) -> None:
    """Rows for days on which nobody spoke, so that they can be said to be silent."""
    if silent:
        await work.execute(
            SILENT,
            {
                **topic._asdict(),
                "areas": [area_id for area_id, _ in silent],
                "days": [day for _, day in silent],
            },
        )


async def read_days(
    reader: Reader, topic: Topic, first_day: date, last_day: date
) -> Sequence[Row[Any]]:
    """All series of a topic between two days, both included."""
    return (
        await reader.execute(
            select(series_day).where(
                series_day.c.point_kind == topic.point_kind,
                series_day.c.syndrome == topic.syndrome,
                series_day.c.day.between(first_day, last_day),
            )
        )
    ).all()


async def excesses_within(
    reader: Reader, area_ids: Sequence[str], point_kinds: Sequence[str], span: tuple[date, date]
) -> list[Excess]:
    """What rules read: the judged days of these areas and kinds, both ends included."""
    first, last = span
    rows = await reader.execute(
        select(series_day)
        .where(
            series_day.c.area_id.in_(area_ids),
            series_day.c.point_kind.in_(point_kinds),
            series_day.c.day.between(first, last),
            series_day.c.version > 0,
        )
        .order_by(
            series_day.c.area_id, series_day.c.point_kind, series_day.c.syndrome, series_day.c.day
        )
    )
    return [excess_of(row) for row in rows]


def excess_of(row: Row[Any]) -> Excess:
    """A stored row as rules, explanations and the console read it."""
    return Excess(
        row.area_id,
        row.point_kind,
        row.syndrome,
        row.day,
        row.persons,
        row.expected,
        row.limit_count,
        row.p_value,
        row.method,
        Abstention(row.abstains),
        row.sites,
    )


@dataclass(frozen=True, slots=True)
class SeriesFilter:
    """One series between two days, both included."""

    area_id: str
    point_kind: str
    syndrome: str
    first_day: date
    last_day: date


async def list_series(reader: Reader, viewer: Viewer, wanted: SeriesFilter) -> list[Excess]:
    """Day by day, those that were ever counted; nothing outside the viewer's areas."""
    rows = await reader.execute(
        select(series_day)
        .where(
            visible(standard, viewer, series_day.c.area_id),
            series_day.c.area_id == wanted.area_id,
            series_day.c.point_kind == wanted.point_kind,
            series_day.c.syndrome == wanted.syndrome,
            series_day.c.day.between(wanted.first_day, wanted.last_day),
        )
        .order_by(series_day.c.day)
    )
    return [excess_of(row) for row in rows]
