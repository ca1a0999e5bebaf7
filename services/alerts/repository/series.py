"""Series by day: their counts and judgements, written by evaluators, read by rules and the door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.engine import Row

from services.alerts.domain.detection.verdict import Abstention
from services.alerts.domain.excess import Excess
from services.alerts.repository.columns import given
from services.alerts.repository.fits import Topic
from services.alerts.tables import series_day, standard
from shared.access import Viewer
from shared.areas import visible
from shared.database.work import Work
from shared.policy import Reader


class SeriesKey(NamedTuple):
    """One series on one day; as a key of `excess`: `<area id>/<point kind>/<syndrome>/<day>`."""

    area_id: str
    point_kind: str
    syndrome: str
    day: date

    @property
    def key(self) -> str:
        return "/".join((self.area_id, self.point_kind, self.syndrome, self.day.isoformat()))

    @classmethod
    def of_key(cls, key: str) -> SeriesKey:
        area_id, point_kind, syndrome, day = key.rsplit("/", 3)
        return cls(area_id, point_kind, syndrome, date.fromisoformat(day))


class SeriesRow(NamedTuple):
    """A row of `series_day`: its counts (`sites`: those that spoke), and how it was judged last."""

    area_id: str
    point_kind: str
    syndrome: str
    day: date
    persons: int = 0
    seen: int = 0
    records: int = 0
    sites: int = 0
    size_milli: int = 0
    doubt_milli: int = 0
    judged_persons: int = 0
    expected: float | None = None
    limit_count: float | None = None
    p_value: float | None = None
    method: str = ""
    abstains: int = 0
    version: int = 0
    judged_at: datetime | None = None

    @property
    def series(self) -> SeriesKey:
        return SeriesKey(*self[:4])


KEY = {"area_id": "text", "point_kind": "text", "syndrome": "text", "day": "date"}
ROW = KEY | {
    "persons": "integer",
    "seen": "integer",
    "records": "integer",
    "sites": "integer",
    "size_milli": "bigint",
    "doubt_milli": "bigint",
    "judged_persons": "integer",
    "expected": "float8",
    "limit_count": "float8",
    "p_value": "float8",
    "method": "text",
    "abstains": "smallint",
    "version": "integer",
    "judged_at": "timestamptz",
}
READ = text(
    f"""
    SELECT {", ".join(f"series.{name}" for name in ROW)}
    FROM {given(KEY)}
    CROSS JOIN LATERAL (
        SELECT * FROM alerts.series_day AS found
        WHERE found.area_id = given.area_id AND found.point_kind = given.point_kind
            AND found.syndrome = given.syndrome AND found.day = given.day
        OFFSET 0
    ) AS series
    """  # noqa: S608 - columns of our own
)
_SET = ", ".join(f"{name} = excluded.{name}" for name in ROW if name not in KEY)
WRITE = text(
    f"""
    INSERT INTO alerts.series_day ({", ".join(ROW)})
    SELECT {", ".join(ROW)}
    FROM {given(ROW)}
    ON CONFLICT (point_kind, syndrome, day, area_id) DO UPDATE SET {_SET}
    """  # noqa: S608
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


async def read_series_at(reader: Reader, keys: Sequence[SeriesKey]) -> dict[SeriesKey, SeriesRow]:
    """Of those that there are."""
    asked = {name: [key[at] for key in keys] for at, name in enumerate(KEY)}
    found = (SeriesRow._make(row) for row in await reader.execute(READ, asked))
    return {one.series: one for one in found}


async def write_series(work: Work, rows: Sequence[SeriesRow]) -> None:
    """As they are now; under the lock of their topics, which all who write them take."""
    if rows:
        ordered = sorted(rows)
        columns = zip(*ordered, strict=True)
        await work.execute(
            WRITE, {name: list(values) for name, values in zip(ROW, columns, strict=True)}
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
) -> list[SeriesRow]:
    """All series of a topic between two days, both included."""
    rows = await reader.execute(
        select(*(series_day.c[name] for name in ROW)).where(
            series_day.c.point_kind == topic.point_kind,
            series_day.c.syndrome == topic.syndrome,
            series_day.c.day.between(first_day, last_day),
        )
    )
    return [SeriesRow._make(row) for row in rows]


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
