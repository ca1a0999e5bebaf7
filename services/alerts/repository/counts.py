"""Counts: facts by record, sums by site and day, what of them has been carried into the series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Row
from sqlalchemy.types import Text

from services.alerts.domain.counting.facts import CountedFact
from services.alerts.tables import count_fact, person, site_counted, standard
from shared.database.work import Work
from shared.policy import Reader

SEPARATOR = "|"


class Cell(NamedTuple):
    """A site on a day in one kind and syndrome; `area_id` as the facts told it, '' if none did."""

    point_kind: str
    syndrome: str
    day: date
    site_id: UUID
    area_id: str

    @property
    def key(self) -> str:
        return SEPARATOR.join(
            (self.point_kind, self.syndrome, self.day.isoformat(), str(self.site_id), self.area_id)
        )

    @classmethod
    def of_key(cls, key: str) -> Cell:
        kind, syndrome, day, site_id, area_id = key.split(SEPARATOR, 4)
        return cls(kind, syndrome, date.fromisoformat(day), UUID(site_id), area_id)


# `stored` says of each fact that was written what it was and what it is; the sums take the
# difference, in one order of rows, so that two batches wait for each other and do not deadlock.
_CARRIED = """
    changed AS (
        SELECT point_kind, syndrome, day, site_id, area_id, lag,
            sum(persons)::integer AS persons, sum(seen)::integer AS seen,
            sum(records)::integer AS records
        FROM (
            SELECT new_kind AS point_kind, syndrome, new_day AS day, new_site AS site_id,
                new_area AS area_id, new_lag AS lag, new_persons AS seen, 1 AS records,
                CASE WHEN syndrome = ANY (new_hits) THEN new_persons ELSE 0 END AS persons
            FROM stored CROSS JOIN unnest(new_syndromes) AS syndrome
            UNION ALL
            SELECT old_kind, syndrome, old_day, old_site, old_area, old_lag, -old_persons, -1,
                CASE WHEN syndrome = ANY (old_hits) THEN -old_persons ELSE 0 END
            FROM stored CROSS JOIN unnest(old_syndromes) AS syndrome
            WHERE old_kind IS NOT NULL
        ) AS said
        GROUP BY point_kind, syndrome, day, site_id, area_id, lag
        HAVING sum(persons) <> 0 OR sum(seen) <> 0 OR sum(records) <> 0
    )
    INSERT INTO alerts.site_day AS cell
        (point_kind, syndrome, day, site_id, area_id, lag, persons, seen, records)
    SELECT point_kind, syndrome, day, site_id, area_id, lag, persons, seen, records
    FROM changed ORDER BY point_kind, syndrome, day, site_id, area_id, lag
    ON CONFLICT (point_kind, syndrome, day, site_id, area_id, lag) DO UPDATE
    SET persons = cell.persons + excluded.persons, seen = cell.seen + excluded.seen,
        records = cell.records + excluded.records
    RETURNING point_kind, syndrome, day, site_id, area_id
"""
_SAID = """
    RETURNING old.point_kind AS old_kind, old.site_id AS old_site, old.area_id AS old_area,
        old.day AS old_day, old.lag AS old_lag, old.syndromes AS old_syndromes,
        old.hits AS old_hits, old.persons AS old_persons,
        new.point_kind AS new_kind, new.site_id AS new_site, new.area_id AS new_area,
        new.day AS new_day, new.lag AS new_lag, new.syndromes AS new_syndromes,
        new.hits AS new_hits, new.persons AS new_persons
"""
_COLUMNS = (
    "record_id, version, point_kind, site_id, area_id, day, lag, syndromes, hits, persons,"
    " person_id"
)
STORE = text(
    f"""
    WITH given AS (
        SELECT * FROM unnest(
            CAST(:record_ids AS uuid[]), CAST(:versions AS integer[]), CAST(:kinds AS text[]),
            CAST(:sites AS uuid[]), CAST(:areas AS text[]), CAST(:days AS date[]),
            CAST(:lags AS smallint[]), CAST(:syndromes AS text[]), CAST(:hits AS text[]),
            CAST(:persons AS integer[]), CAST(:person_ids AS uuid[])
        ) AS fact ({_COLUMNS})
    ), stored AS (
        INSERT INTO alerts.count_fact AS fact ({_COLUMNS})
        SELECT record_id, version, point_kind, site_id, area_id, day, lag,
            string_to_array(syndromes, ','), string_to_array(hits, ','), persons, person_id
        FROM given ORDER BY record_id
        ON CONFLICT (record_id) DO UPDATE
        SET version = excluded.version, point_kind = excluded.point_kind,
            site_id = excluded.site_id, area_id = excluded.area_id, day = excluded.day,
            lag = excluded.lag, syndromes = excluded.syndromes, hits = excluded.hits,
            persons = excluded.persons, person_id = excluded.person_id
        WHERE fact.version < excluded.version
        {_SAID}
    ), {_CARRIED}
    """  # noqa: S608 - columns of our own
)
MOVE = text(
    f"""
    WITH stored AS (
        UPDATE alerts.count_fact AS fact SET area_id = given.area_id
        FROM unnest(CAST(:record_ids AS uuid[]), CAST(:areas AS text[]))
            AS given (record_id, area_id)
        WHERE fact.record_id = given.record_id AND fact.area_id <> given.area_id
        {_SAID}
    ), {_CARRIED}
    """  # noqa: S608
)


async def store_counted(work: Work, facts: Sequence[CountedFact]) -> set[Cell]:
    """Keep the newest version of each record and what it changes in the sums; the cells that
    changed. The same or an older version changes nothing."""
    newest: dict[UUID, CountedFact] = {}
    for fact in sorted(facts, key=lambda one: one.version):
        newest[fact.record_id] = fact
    if not newest:
        return set()
    rows = [newest[record_id] for record_id in sorted(newest)]
    changed = await work.execute(
        STORE,
        {
            "record_ids": [row.record_id for row in rows],
            "versions": [row.version for row in rows],
            "kinds": [row.point_kind for row in rows],
            "sites": [row.site_id for row in rows],
            "areas": [row.area_id for row in rows],
            "days": [row.day for row in rows],
            "lags": [row.lag for row in rows],
            "syndromes": [",".join(row.syndromes) for row in rows],
            "hits": [",".join(row.hits) for row in rows],
            "persons": [row.persons for row in rows],
            "person_ids": [row.person_id for row in rows],
        },
    )
    return {Cell._make(row) for row in changed}


async def move_home(work: Work, record_ids: Sequence[UUID]) -> set[Cell]:
    """Facts of persons count where the person is registered, as far as that is known."""
    rows = await work.execute(
        select(count_fact.c.record_id, person.c.residence_area_id)
        .join(person, person.c.person_id == count_fact.c.person_id)
        .where(count_fact.c.record_id.in_(record_ids), person.c.residence_area_id.is_not(None))
        .order_by(count_fact.c.record_id)
        .with_for_update(of=count_fact)
    )
    homes = {row.record_id: row.residence_area_id for row in rows}
    if not homes:
        return set()
    changed = await work.execute(MOVE, {"record_ids": list(homes), "areas": list(homes.values())})
    return {Cell._make(row) for row in changed}


async def counted_of_persons(reader: Reader, person_ids: Sequence[UUID]) -> list[UUID]:
    rows = await reader.execute(
        select(count_fact.c.record_id).where(count_fact.c.person_id.in_(person_ids))
    )
    return [row.record_id for row in rows]


async def cells_at(reader: Reader, site_ids: Sequence[UUID]) -> set[Cell]:
    """All that was ever carried from these sites."""
    return await _cells(reader, site_counted.c.site_id.in_(site_ids))


async def cells_in(reader: Reader, area_ids: Sequence[str]) -> set[Cell]:
    """All that was carried into exactly these areas and from there upwards."""
    leaf = text("line[1] = ANY (:areas)").bindparams(
        bindparam("areas", list(area_ids), type_=ARRAY(Text))
    )
    return await _cells(reader, leaf)


async def _cells(reader: Reader, condition: Any) -> set[Cell]:
    columns = [site_counted.c[name] for name in Cell._fields]
    return {Cell._make(row) for row in await reader.execute(select(*columns).where(condition))}


@dataclass(frozen=True, slots=True)
class Carry:
    """A cell as it stands and as it was carried last; `line`: its area and those above."""

    cell: Cell
    line: tuple[str, ...]
    persons: int
    seen: int
    records: int
    before: Row[Any]


CELLS = text(
    """
    SELECT given.point_kind, given.syndrome, given.day, given.site_id, given.area_id,
        coalesce(sums.persons, 0) AS persons, coalesce(sums.seen, 0) AS seen,
        coalesce(sums.records, 0) AS records,
        coalesce(area.ancestors, array_remove(ARRAY[nullif(here.area_id, '')], NULL)) AS line,
        counted.line AS old_line, counted.persons AS old_persons, counted.seen AS old_seen,
        counted.records AS old_records, counted.size_milli, counted.doubt_milli
    FROM unnest(
        CAST(:kinds AS text[]), CAST(:syndromes AS text[]), CAST(:days AS date[]),
        CAST(:sites AS uuid[]), CAST(:areas AS text[])
    ) AS given (point_kind, syndrome, day, site_id, area_id)
    LEFT JOIN alerts.place ON place.place_id = given.site_id
    CROSS JOIN LATERAL (SELECT coalesce(place.area_id, given.area_id) AS area_id) AS here
    LEFT JOIN alerts.area ON area.area_id = here.area_id
    LEFT JOIN LATERAL (
        SELECT sum(persons)::integer AS persons, sum(seen)::integer AS seen,
            sum(records)::integer AS records
        FROM alerts.site_day AS cell
        WHERE cell.point_kind = given.point_kind AND cell.syndrome = given.syndrome
            AND cell.day = given.day AND cell.site_id = given.site_id
            AND cell.area_id = given.area_id
    ) AS sums ON true
    LEFT JOIN alerts.site_counted AS counted
        ON counted.point_kind = given.point_kind AND counted.syndrome = given.syndrome
        AND counted.day = given.day AND counted.site_id = given.site_id
        AND counted.area_id = given.area_id
    """
)


async def read_cells(reader: Reader, cells: Iterable[Cell]) -> list[Carry]:
    wanted = sorted(cells)
    rows = await reader.execute(
        CELLS,
        {
            "kinds": [cell.point_kind for cell in wanted],
            "syndromes": [cell.syndrome for cell in wanted],
            "days": [cell.day for cell in wanted],
            "sites": [cell.site_id for cell in wanted],
            "areas": [cell.area_id for cell in wanted],
        },
    )
    return [
        Carry(Cell._make(row[:5]), tuple(row.line), row.persons, row.seen, row.records, row)
        for row in rows
    ]


WRITE_CELLS = text(
    """
    INSERT INTO alerts.site_counted AS counted
        (point_kind, syndrome, day, site_id, area_id, line, persons, seen, records, size_milli,
         doubt_milli)
    SELECT point_kind, syndrome, day, site_id, area_id, string_to_array(line, '|'), persons, seen,
        records, size_milli, doubt_milli
    FROM unnest(
        CAST(:kinds AS text[]), CAST(:syndromes AS text[]), CAST(:days AS date[]),
        CAST(:sites AS uuid[]), CAST(:areas AS text[]), CAST(:lines AS text[]),
        CAST(:persons AS integer[]), CAST(:seen AS integer[]), CAST(:records AS integer[]),
        CAST(:size_milli AS bigint[]), CAST(:doubt_milli AS bigint[])
    ) AS given (point_kind, syndrome, day, site_id, area_id, line, persons, seen, records,
        size_milli, doubt_milli)
    ON CONFLICT (point_kind, syndrome, day, site_id, area_id) DO UPDATE
    SET line = excluded.line, persons = excluded.persons, seen = excluded.seen,
        records = excluded.records, size_milli = excluded.size_milli,
        doubt_milli = excluded.doubt_milli
    """
)
ADD = text(
    """
    INSERT INTO alerts.series_day AS series
        (area_id, point_kind, syndrome, day, persons, seen, records, sites, size_milli,
         doubt_milli)
    SELECT * FROM unnest(
        CAST(:areas AS text[]), CAST(:kinds AS text[]), CAST(:syndromes AS text[]),
        CAST(:days AS date[]), CAST(:persons AS integer[]), CAST(:seen AS integer[]),
        CAST(:records AS integer[]), CAST(:sites AS integer[]), CAST(:size_milli AS bigint[]),
        CAST(:doubt_milli AS bigint[])
    ) AS given (area_id, point_kind, syndrome, day)
    ON CONFLICT (area_id, point_kind, syndrome, day) DO UPDATE
    SET persons = series.persons + excluded.persons, seen = series.seen + excluded.seen,
        records = series.records + excluded.records, sites = series.sites + excluded.sites,
        size_milli = series.size_milli + excluded.size_milli,
        doubt_milli = series.doubt_milli + excluded.doubt_milli
    RETURNING *
    """
)
Sums = dict[str, int]


async def write_cells(work: Work, carried: Sequence[tuple[Carry, int, int]]) -> None:
    """(cell, size, doubt): carried as they stand now."""
    cells = [one.cell for one, _, _ in carried]
    await work.execute(
        WRITE_CELLS,
        {
            **_cell_arrays(cells),
            "lines": ["|".join(one.line) for one, _, _ in carried],
            "persons": [one.persons for one, _, _ in carried],
            "seen": [one.seen for one, _, _ in carried],
            "records": [one.records for one, _, _ in carried],
            "size_milli": [size for _, size, _ in carried],
            "doubt_milli": [doubt for _, _, doubt in carried],
        },
    )


def _cell_arrays(cells: Sequence[Cell]) -> dict[str, list[Any]]:
    return {
        "kinds": [cell.point_kind for cell in cells],
        "syndromes": [cell.syndrome for cell in cells],
        "days": [cell.day for cell in cells],
        "sites": [cell.site_id for cell in cells],
        "areas": [cell.area_id for cell in cells],
    }


SeriesDay = tuple[str, str, str, date]


async def add_to_series(work: Work, sums: dict[SeriesDay, Sums]) -> Sequence[Row[Any]]:
    """Add these differences; the rows as they stand then."""
    keys = sorted(sums)
    if not keys:
        return []
    names = ("persons", "seen", "records", "sites", "size_milli", "doubt_milli")
    return (
        await work.execute(
            ADD,
            {
                "areas": [key[0] for key in keys],
                "kinds": [key[1] for key in keys],
                "syndromes": [key[2] for key in keys],
                "days": [key[3] for key in keys],
                **{name: [sums[key][name] for key in keys] for name in names},
            },
        )
    ).all()


async def zones_of(reader: Reader, area_ids: Iterable[str]) -> dict[str, str]:
    """Of those areas that are known."""
    area = standard.area
    wanted = sorted(set(area_ids))
    rows = await reader.execute(
        select(area.c.area_id, area.c.zone).where(area.c.area_id.in_(wanted))
    )
    return {row.area_id: row.zone for row in rows}
