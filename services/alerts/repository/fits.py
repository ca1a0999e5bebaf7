"""What the past of one kind and syndrome was, and what was fitted to it, day by day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from sqlalchemy import Delete, Table, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row

from services.alerts.domain.counting.delays import Delays
from services.alerts.domain.counting.sizes import Sizes
from services.alerts.domain.counting.table import (
    FOR_EVER,
    DayCounts,
    SeriesTable,
    Sites,
    tree_of,
)
from services.alerts.domain.detection.verdict import BoolArray, IntArray
from services.alerts.domain.expecting.tail import Tail
from services.alerts.repository.detection import OutbreakDocument
from services.alerts.tables import expectation, fit, site_day, site_size, standard
from shared.database.work import Work
from shared.policy import Reader

NIL = str(UUID(int=0))
ROWS_AT_ONCE = 2_000
# The delays of days younger than this are not all known yet; older than that, no longer true.
DELAYS_FROM_DAYS = 60
# A site that said nothing for so long is not silent but closed.
CLOSED_AFTER_DAYS = 28

HISTORY = text(
    """
    SELECT cell.site_id, cell.area_id, coalesce(place.area_id, cell.area_id) AS leaf,
        array_agg(cell.day - :first_day) AS days, array_agg(cell.persons) AS persons,
        array_agg(cell.seen) AS seen
    FROM (
        SELECT site_id, area_id, day, sum(persons)::integer AS persons, sum(seen)::integer AS seen
        FROM alerts.site_day
        WHERE point_kind = :point_kind AND syndrome = :syndrome
            AND day BETWEEN :first_day AND :last_day
        GROUP BY site_id, area_id, day HAVING sum(records) > 0
    ) AS cell
    LEFT JOIN alerts.place ON place.place_id = cell.site_id
    GROUP BY cell.site_id, cell.area_id, leaf
    ORDER BY cell.site_id, cell.area_id
    """
)


class Topic(NamedTuple):
    """A point kind and a syndrome: what is fitted together."""

    point_kind: str
    syndrome: str


@dataclass(frozen=True, slots=True)
class Past:
    """`site_keys` (N,): site and area as told, in the order of the table's sites."""

    table: SeriesTable
    site_keys: Sequence[tuple[str, str]]
    delays: Delays


async def read_past(
    reader: Reader, topic: Topic, span: tuple[date, date], outbreaks: Sequence[OutbreakDocument]
) -> Past | None:
    """Everything counted in these days, both included; None if that is nothing. The last day is
    today: it is not over."""
    first_day, today = span
    asked = {**topic._asdict(), "first_day": first_day, "last_day": today}
    rows: Sequence[Row[Any]] = (await reader.execute(HISTORY, asked)).all()
    rows = [row for row in rows if row.leaf]
    if not rows:
        return None
    tree = tree_of(await _parents(reader, sorted({row.leaf for row in rows})))
    number = {area_id: position for position, area_id in enumerate(tree.area_ids)}
    days = (today - first_day).days + 1
    persons, seen = (np.zeros((len(rows), days), dtype=np.int32) for _ in range(2))
    reported = np.zeros((len(rows), days), dtype=np.bool_)
    for place, row in enumerate(rows):
        at = np.array(row.days)
        persons[place, at], seen[place, at], reported[place, at] = row.persons, row.seen, True
    sites = _sites(np.array([number[row.leaf] for row in rows], dtype=np.int64), reported)
    lines = [{tree.area_ids[above] for above in line} for line in tree.lines()]
    left_out = _left_out(
        [lines[number[row.leaf]] for row in rows], topic, first_day, days, outbreaks
    )
    table = SeriesTable(
        first_day=first_day,
        tree=tree,
        kinds=(topic,),
        sites=sites,
        counts=DayCounts(persons, seen, reported),
        left_out=left_out,
        last_day=today,
    )
    return Past(table, [(str(row.site_id), row.area_id) for row in rows], Delays.none(1))


async def read_delays(reader: Reader, topic: Topic, today: date, days_most: int) -> Delays:
    """Of days that are old enough for all their reports to have come.

    What came later than that was no late report but a past that was read in, years at once: from it
    would be learnt that nobody ever speaks in time.
    """
    cell = site_day.c
    rows = await reader.execute(
        select(cell.lag, func.sum(cell.records).label("records"))
        .where(
            cell.point_kind == topic.point_kind,
            cell.syndrome == topic.syndrome,
            cell.day >= today - timedelta(days=DELAYS_FROM_DAYS + days_most),
            cell.day < today - timedelta(days=days_most),
            cell.lag < days_most,
        )
        .group_by(cell.lag)
    )
    late = np.zeros((1, days_most + 1))
    for row in rows:
        late[0, min(row.lag, days_most)] += max(row.records, 0)
    return Delays.of(late)


async def _parents(reader: Reader, leaves: Sequence[str]) -> list[tuple[str, str | None]]:
    """The leaves and all that is known to lie above them."""
    area = standard.area
    lines = await reader.execute(select(area.c.ancestors).where(area.c.area_id.in_(leaves)))
    wanted = sorted({one for row in lines for one in row.ancestors} | set(leaves))
    rows = await reader.execute(
        select(area.c.area_id, area.c.parent_id).where(area.c.area_id.in_(wanted))
    )
    parent = {row.area_id: row.parent_id for row in rows}
    return [(area_id, parent.get(area_id)) for area_id in wanted]


def _sites(area: IntArray, reported: BoolArray) -> Sites:
    """Open from their first report on; closed when they have been silent for long."""
    days = reported.shape[1]
    opens = np.argmax(reported, axis=1)
    last = days - 1 - np.argmax(reported[:, ::-1], axis=1)
    closes = np.where(last + CLOSED_AFTER_DAYS < days, last + CLOSED_AFTER_DAYS + 1, FOR_EVER)
    return Sites(area, np.zeros_like(area), opens, closes)


def _left_out(
    lines: Sequence[set[str]],
    topic: Topic,
    first_day: date,
    days: int,
    outbreaks: Sequence[OutbreakDocument],
) -> BoolArray | None:
    known = [one for one in outbreaks if one.concerns(*topic)]
    if not known:
        return None
    left_out = np.zeros((len(lines), days), dtype=np.bool_)
    for outbreak in known:
        first, last = ((day - first_day).days for day in outbreak.days)
        for place, line in enumerate(lines):
            if outbreak.area_id in line:
                left_out[place, max(first, 0) : max(last + 1, 0)] = True
    return left_out


@dataclass(frozen=True, slots=True)
class FitOfDay:
    """What was fitted for one day: the share of a mean day that it brings by `today`, and the
    series' tails by area."""

    day: date
    fit_id: UUID
    today: date
    share: float
    policy: str


async def write_fits(
    work: Work, topic: Topic, fits: Sequence[FitOfDay], area_ids: Sequence[str], tail: Tail
) -> None:
    """`tail` (S, days), one row for each area. Replaces what was fitted for these days."""
    days = [one.day for one in fits]
    await work.execute(_of(expectation, topic).where(expectation.c.day.in_(days)))
    packed = tail.packed()
    rows = [
        {
            **topic._asdict(),
            "day": one.day,
            "area_id": area_id,
            "method": int(tail.method[series, column]),
            "tail": packed[series, column].tolist(),
        }
        for column, one in enumerate(fits)
        for series, area_id in enumerate(area_ids)
        if tail.method[series, column]
    ]
    for start in range(0, len(rows), ROWS_AT_ONCE):
        await work.execute(expectation.insert(), rows[start : start + ROWS_AT_ONCE])
    statement = insert(fit)
    await work.execute(
        statement.on_conflict_do_update(
            index_elements=[fit.c.point_kind, fit.c.syndrome, fit.c.day],
            set_={
                name: statement.excluded[name]
                for name in ("fit_id", "today", "share", "policy", "fitted_at")
            },
        ),
        [
            {
                **topic._asdict(),
                "day": one.day,
                "fit_id": one.fit_id,
                "today": one.today,
                "share": one.share,
                "policy": one.policy,
                "fitted_at": work.now(),
            }
            for one in fits
        ],
    )


async def write_sizes(
    work: Work, topic: Topic, monday: date, keys: Sequence[tuple[str, str]], sizes: Sizes
) -> None:
    """Of one week, with that of a site that nobody knows."""
    await work.execute(_of(site_size, topic).where(site_size.c.monday == monday))
    known = zip(keys, sizes.mean.tolist(), sizes.doubt.tolist(), strict=True)
    rows = [(*key, int(mean), int(doubt)) for key, mean, doubt in known]
    rows.append((NIL, "", int(sizes.new_mean[0]), int(sizes.new_doubt[0])))
    await work.execute(
        site_size.insert(),
        [
            {
                **topic._asdict(),
                "monday": monday,
                "site_id": UUID(site_id),
                "area_id": area_id,
                "size_milli": size,
                "doubt_milli": doubt,
            }
            for site_id, area_id, size, doubt in rows
        ],
    )


def _of(table: Table, topic: Topic) -> Delete:
    return delete(table).where(
        table.c.point_kind == topic.point_kind, table.c.syndrome == topic.syndrome
    )


@dataclass(frozen=True, slots=True)
class StoredFit:
    """A fit of one day as it is compared with: `series` is the place of each area in `tail`,
    `sizes` those of the sites that week."""

    fit: FitOfDay
    series: dict[str, int]
    tail: Tail
    sizes: dict[tuple[str, str], tuple[int, int]]

    def size_of(self, site_id: str, area_id: str) -> tuple[int, int]:
        """Size and doubt in thousandths; of a site that came since, those of any new one."""
        return self.sizes.get((site_id, area_id)) or self.sizes[NIL, ""]


async def fitted_topics(reader: Reader) -> list[Topic]:
    rows = await reader.execute(select(fit.c.point_kind, fit.c.syndrome).distinct())
    return sorted(Topic._make(row) for row in rows)


async def fit_ids(
    reader: Reader, wanted: Sequence[tuple[Topic, date]]
) -> dict[tuple[Topic, date], UUID]:
    rows = await reader.execute(
        text(
            """
            SELECT point_kind, syndrome, day, fit_id FROM alerts.fit
            JOIN unnest(CAST(:kinds AS text[]), CAST(:syndromes AS text[]), CAST(:days AS date[]))
                AS given (point_kind, syndrome, day) USING (point_kind, syndrome, day)
            """
        ),
        {
            "kinds": [topic.point_kind for topic, _ in wanted],
            "syndromes": [topic.syndrome for topic, _ in wanted],
            "days": [day for _, day in wanted],
        },
    )
    return {(Topic(row.point_kind, row.syndrome), row.day): row.fit_id for row in rows}


async def read_fit(reader: Reader, topic: Topic, day: date) -> StoredFit:
    """The fit of a day for which there is one."""
    found = (
        await reader.execute(
            select(fit).where(
                fit.c.point_kind == topic.point_kind,
                fit.c.syndrome == topic.syndrome,
                fit.c.day == day,
            )
        )
    ).one()
    rows = (
        await reader.execute(
            select(expectation.c.area_id, expectation.c.method, expectation.c.tail).where(
                expectation.c.point_kind == topic.point_kind,
                expectation.c.syndrome == topic.syndrome,
                expectation.c.day == day,
            )
        )
    ).all()
    monday = day - timedelta(days=day.weekday())
    sizes = await reader.execute(
        select(site_size).where(
            site_size.c.point_kind == topic.point_kind,
            site_size.c.syndrome == topic.syndrome,
            site_size.c.monday == monday,
        )
    )
    # The last place is that of an area for which nothing could be fitted.
    nothing = Tail.empty((1,)).packed()
    packed = np.concatenate([np.array([row.tail for row in rows]), nothing]) if rows else nothing
    methods = np.array([row.method for row in rows] + [0], dtype=np.uint8)
    return StoredFit(
        FitOfDay(found.day, found.fit_id, found.today, found.share, found.policy),
        {row.area_id: place for place, row in enumerate(rows)},
        Tail.unpacked(methods, packed),
        {(str(row.site_id), row.area_id): (row.size_milli, row.doubt_milli) for row in sizes},
    )


RESIZE_CELLS = text(
    """
    WITH sized AS (
        SELECT cell.day, cell.site_id, cell.area_id,
            coalesce(own.size_milli, usual.size_milli) AS size_milli,
            coalesce(own.doubt_milli, usual.doubt_milli) AS doubt_milli
        FROM alerts.site_counted AS cell
        JOIN alerts.site_size AS usual ON usual.point_kind = cell.point_kind
            AND usual.syndrome = cell.syndrome AND usual.site_id = :nil
            AND usual.monday = cell.day - (extract(isodow FROM cell.day)::integer - 1)
        LEFT JOIN alerts.site_size AS own ON own.point_kind = cell.point_kind
            AND own.syndrome = cell.syndrome AND own.site_id = cell.site_id
            AND own.area_id = cell.area_id AND own.monday = usual.monday
        WHERE cell.point_kind = :point_kind AND cell.syndrome = :syndrome
            AND cell.day BETWEEN :first_day AND :last_day AND cell.records > 0
    )
    UPDATE alerts.site_counted AS cell
    SET size_milli = sized.size_milli, doubt_milli = sized.doubt_milli
    FROM sized
    WHERE cell.point_kind = :point_kind AND cell.syndrome = :syndrome AND cell.day = sized.day
        AND cell.site_id = sized.site_id AND cell.area_id = sized.area_id
        AND (cell.size_milli, cell.doubt_milli) <> (sized.size_milli, sized.doubt_milli)
    """
)
RESIZE_SERIES = text(
    """
    UPDATE alerts.series_day AS series
    SET size_milli = sums.size_milli, doubt_milli = sums.doubt_milli
    FROM (
        SELECT area_id, day, sum(size_milli) AS size_milli, sum(doubt_milli) AS doubt_milli
        FROM (
            SELECT unnest(line) AS area_id, day, size_milli, doubt_milli
            FROM alerts.site_counted
            WHERE point_kind = :point_kind AND syndrome = :syndrome
                AND day BETWEEN :first_day AND :last_day
        ) AS cell GROUP BY area_id, day
    ) AS sums
    WHERE series.point_kind = :point_kind AND series.syndrome = :syndrome
        AND series.day = sums.day AND series.area_id = sums.area_id
        AND (series.size_milli, series.doubt_milli) <> (sums.size_milli, sums.doubt_milli)
    """
)


async def resize(work: Work, topic: Topic, first_day: date, last_day: date) -> None:
    """Measure the days again by the sizes that are stored now; under the topic's lock."""
    span = {**topic._asdict(), "first_day": first_day, "last_day": last_day}
    # Whole days are joined. While the tables are young the planner takes them for a few rows and
    # goes through one for each row of the other: minutes, under the lock.
    await work.execute(text("SET LOCAL enable_nestloop = off"))
    await work.execute(RESIZE_CELLS, {**span, "nil": UUID(NIL)})
    await work.execute(RESIZE_SERIES, span)
    await work.execute(text("SET LOCAL enable_nestloop = on"))
