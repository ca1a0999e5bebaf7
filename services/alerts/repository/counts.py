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


_COLUMNS = (
    "record_id, version, point_kind, site_id, area_id, day, lag, syndromes, hits, persons,"
    " person_id"
)
_GIVEN = f"""
    SELECT record_id, version, point_kind, site_id, area_id, day, lag,
        string_to_array(syndromes, ',') AS syndromes, string_to_array(hits, ',') AS hits,
        persons, person_id
    FROM unnest(
        CAST(:record_ids AS uuid[]), CAST(:versions AS integer[]), CAST(:kinds AS text[]),
        CAST(:sites AS uuid[]), CAST(:areas AS text[]), CAST(:days AS date[]),
        CAST(:lags AS smallint[]), CAST(:syndromes AS text[]), CAST(:hits AS text[]),
        CAST(:persons AS integer[]), CAST(:person_ids AS uuid[])
    ) AS given ({_COLUMNS})
"""  # noqa: S608 - columns of our own
INSERT = text(
    f"INSERT INTO alerts.count_fact ({_COLUMNS}) {_GIVEN} ORDER BY record_id"
    " ON CONFLICT (record_id) DO NOTHING RETURNING record_id"
)
UPDATE = text(
    f"""
    UPDATE alerts.count_fact AS fact
    SET version = given.version, point_kind = given.point_kind, site_id = given.site_id,
        area_id = given.area_id, day = given.day, lag = given.lag, syndromes = given.syndromes,
        hits = given.hits, persons = given.persons, person_id = given.person_id
    FROM ({_GIVEN}) AS given WHERE fact.record_id = given.record_id
    """  # noqa: S608
)
MOVE = text(
    """
    UPDATE alerts.count_fact AS fact SET area_id = given.area_id
    FROM unnest(CAST(:record_ids AS uuid[]), CAST(:areas AS text[])) AS given (record_id, area_id)
    WHERE fact.record_id = given.record_id
    """
)
ADD_CELLS = text(
    """
    INSERT INTO alerts.site_day AS cell
        (point_kind, syndrome, day, site_id, area_id, lag, persons, seen, records)
    SELECT * FROM unnest(
        CAST(:kinds AS text[]), CAST(:syndromes AS text[]), CAST(:days AS date[]),
        CAST(:sites AS uuid[]), CAST(:areas AS text[]), CAST(:lags AS smallint[]),
        CAST(:persons AS integer[]), CAST(:seen AS integer[]), CAST(:records AS integer[])
    ) AS given (point_kind)
    ON CONFLICT (point_kind, syndrome, day, site_id, area_id, lag) DO UPDATE
    SET persons = cell.persons + excluded.persons, seen = cell.seen + excluded.seen,
        records = cell.records + excluded.records
    """
)


class _Differences:
    """What a batch changes in the sums, by cell and lag: persons, seen, records."""

    def __init__(self) -> None:
        self._sums: dict[tuple[Cell, int], list[int]] = {}

    def add(self, fact: CountedFact | Row[Any], sign: int, area_id: str | None = None) -> None:
        """A fact as it stands (1) or stood (-1); `area_id` where it counts elsewhere."""
        area = fact.area_id if area_id is None else area_id
        for syndrome in fact.syndromes:
            cell = Cell(fact.point_kind, syndrome, fact.day, fact.site_id, area)
            total = self._sums.setdefault((cell, fact.lag), [0, 0, 0])
            total[0] += sign * fact.persons if syndrome in fact.hits else 0
            total[1] += sign * fact.persons
            total[2] += sign

    async def write(self, work: Work) -> set[Cell]:
        """In one order of rows: two batches that meet wait for each other, without deadlock."""
        changed = sorted(key for key, total in self._sums.items() if any(total))
        if not changed:
            return set()
        sums = [self._sums[key] for key in changed]
        await work.execute(
            ADD_CELLS,
            {
                **_cell_arrays([cell for cell, _ in changed]),
                "lags": [lag for _, lag in changed],
                "persons": [total[0] for total in sums],
                "seen": [total[1] for total in sums],
                "records": [total[2] for total in sums],
            },
        )
        return {cell for cell, _ in changed}


async def store_counted(work: Work, facts: Sequence[CountedFact]) -> set[Cell]:
    """Keep the newest version of each record and what it changes in the sums; the cells that
    changed. The same or an older version changes nothing.

    Who inserts a record counts it; who finds one, another transaction's included, waits for it and
    takes back what it counted before.
    """
    newest: dict[UUID, CountedFact] = {}
    for fact in sorted(facts, key=lambda one: one.version):
        newest[fact.record_id] = fact
    if not newest:
        return set()
    differences = _Differences()
    rows = await work.execute(INSERT, _arrays([newest[key] for key in sorted(newest)]))
    inserted = {row.record_id for row in rows}
    for record_id in inserted:
        differences.add(newest[record_id], 1)
    known = sorted(newest.keys() - inserted)
    if known:
        await _revise(work, [newest[record_id] for record_id in known], differences)
    return await differences.write(work)


async def _revise(work: Work, facts: Sequence[CountedFact], differences: _Differences) -> None:
    rows = await work.execute(
        select(count_fact)
        .where(count_fact.c.record_id.in_([fact.record_id for fact in facts]))
        .order_by(count_fact.c.record_id)
        .with_for_update()
    )
    before = {row.record_id: row for row in rows}
    newer = [fact for fact in facts if fact.version > before[fact.record_id].version]
    for fact in newer:
        differences.add(before[fact.record_id], -1)
        differences.add(fact, 1)
    if newer:
        await work.execute(UPDATE, _arrays(newer))


def _arrays(facts: Sequence[CountedFact]) -> dict[str, list[Any]]:
    return {
        "record_ids": [fact.record_id for fact in facts],
        "versions": [fact.version for fact in facts],
        "kinds": [fact.point_kind for fact in facts],
        "sites": [fact.site_id for fact in facts],
        "areas": [fact.area_id for fact in facts],
        "days": [fact.day for fact in facts],
        "lags": [fact.lag for fact in facts],
        "syndromes": [",".join(fact.syndromes) for fact in facts],
        "hits": [",".join(fact.hits) for fact in facts],
        "persons": [fact.persons for fact in facts],
        "person_ids": [fact.person_id for fact in facts],
    }


async def move_home(work: Work, record_ids: Sequence[UUID]) -> set[Cell]:
    """Facts of persons count where the person is registered, as far as that is known."""
    rows = (
        await work.execute(
            select(count_fact, person.c.residence_area_id)
            .join(person, person.c.person_id == count_fact.c.person_id)
            .where(
                count_fact.c.record_id.in_(record_ids),
                person.c.residence_area_id != count_fact.c.area_id,
            )
            .order_by(count_fact.c.record_id)
            .with_for_update(of=count_fact)
        )
    ).all()
    if not rows:
        return set()
    differences = _Differences()
    for row in rows:
        differences.add(row, -1)
        differences.add(row, 1, row.residence_area_id)
    await work.execute(
        MOVE,
        {
            "record_ids": [row.record_id for row in rows],
            "areas": [row.residence_area_id for row in rows],
        },
    )
    return await differences.write(work)


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
