"""Counts: facts by record, sums by site and day, what of them has been carried into the series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Row
from sqlalchemy.types import Text

from services.alerts.domain.counting.facts import CountedFact
from services.alerts.repository.columns import given
from services.alerts.tables import count_fact, person, site_counted, standard
from shared.database.work import Work
from shared.policy import Reader

SEPARATOR = "|"


class Cell(NamedTuple):
    """A site on a day in one kind and syndrome; `area_id` as the facts told it, '' if none did."""

    point_kind: str
    syndrome: str
    day: date
    site_id: str
    area_id: str

    @property
    def key(self) -> str:
        return SEPARATOR.join(
            (self.point_kind, self.syndrome, self.day.isoformat(), self.site_id, self.area_id)
        )

    @classmethod
    def of_key(cls, key: str) -> Cell:
        kind, syndrome, day, site_id, area_id = key.split(SEPARATOR, 4)
        return cls(kind, syndrome, date.fromisoformat(day), site_id, area_id)


CELL = {
    "point_kind": "text",
    "syndrome": "text",
    "day": "date",
    "site_id": "uuid",
    "area_id": "text",
}
FACT = {
    "record_id": "uuid",
    "version": "integer",
    "point_kind": "text",
    "site_id": "uuid",
    "area_id": "text",
    "day": "date",
    "lag": "smallint",
    "syndromes": "text",
    "hits": "text",
    "persons": "integer",
    "person_id": "uuid",
}
_FACTS = f"""
    SELECT record_id, version, point_kind, site_id, area_id, day, lag,
        string_to_array(syndromes, ',') AS syndromes, string_to_array(hits, ',') AS hits, persons,
        person_id
    FROM {given(FACT)}
"""  # noqa: S608 - columns of our own
INSERT = text(
    f"INSERT INTO alerts.count_fact ({', '.join(FACT)}) {_FACTS} ORDER BY record_id"
    " ON CONFLICT (record_id) DO NOTHING RETURNING record_id"
)
UPDATE = text(
    f"""
    UPDATE alerts.count_fact AS fact
    SET version = newer.version, point_kind = newer.point_kind, site_id = newer.site_id,
        area_id = newer.area_id, day = newer.day, lag = newer.lag, syndromes = newer.syndromes,
        hits = newer.hits, persons = newer.persons, person_id = newer.person_id
    FROM ({_FACTS}) AS newer WHERE fact.record_id = newer.record_id
    """  # noqa: S608
)
MOVE = text(
    f"""
    UPDATE alerts.count_fact AS fact SET area_id = given.area_id
    FROM {given({"record_id": "uuid", "area_id": "text"})}
    WHERE fact.record_id = given.record_id
    """  # noqa: S608
)
_SUMS = {"persons": "integer", "seen": "integer", "records": "integer"}
ADD_CELLS = text(
    f"""
    INSERT INTO alerts.site_day AS cell
        (point_kind, syndrome, day, site_id, area_id, lag, persons, seen, records)
    SELECT point_kind, syndrome, day, site_id, area_id, lag, persons, seen, records
    FROM {given(CELL | {"lag": "smallint"} | _SUMS)}
    ON CONFLICT (point_kind, syndrome, day, site_id, area_id, lag) DO UPDATE
    SET persons = cell.persons + excluded.persons, seen = cell.seen + excluded.seen,
        records = cell.records + excluded.records
    """  # noqa: S608
)


class _Differences:
    """What a batch changes in the sums, by cell and lag: persons, seen, records."""

    def __init__(self) -> None:
        self._sums: dict[tuple[Cell, int], list[int]] = {}

    def add(self, fact: CountedFact | Row[Any], sign: int, area_id: str | None = None) -> None:
        """A fact as it stands (1) or stood (-1); `area_id` where it counts elsewhere."""
        area = fact.area_id if area_id is None else area_id
        site_id = str(fact.site_id)
        for syndrome in fact.syndromes:
            cell = Cell(fact.point_kind, syndrome, fact.day, site_id, area)
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
                **_cell_columns([cell for cell, _ in changed]),
                "lag": [lag for _, lag in changed],
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
    rows = await work.execute(INSERT, _columns(list(newest.values())))
    inserted = {row.record_id for row in rows}
    for record_id in inserted:
        differences.add(newest[record_id], 1)
    known = newest.keys() - inserted
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
        await work.execute(UPDATE, _columns(newer))


def _columns(facts: Sequence[CountedFact]) -> dict[str, list[Any]]:
    plain = {
        name: [getattr(fact, name) for fact in facts]
        for name in FACT
        if name not in ("syndromes", "hits")
    }
    return plain | {
        "syndromes": [",".join(fact.syndromes) for fact in facts],
        "hits": [",".join(fact.hits) for fact in facts],
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
            "record_id": [row.record_id for row in rows],
            "area_id": [row.residence_area_id for row in rows],
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
    return {_cell(row) for row in await reader.execute(select(*columns).where(condition))}


def _cell(row: Row[Any]) -> Cell:
    return Cell(row.point_kind, row.syndrome, row.day, str(row.site_id), row.area_id)


class Carried(NamedTuple):
    """What of a cell was carried last, and where to."""

    line: list[str]
    persons: int
    seen: int
    records: int
    size_milli: int
    doubt_milli: int


class Carry(NamedTuple):
    """A cell as it stands and as it was carried last (None: never); `line`: its area and those
    above."""

    cell: Cell
    line: list[str]
    persons: int
    seen: int
    records: int
    before: Carried | None


CELLS = text(
    f"""
    SELECT given.number,
        coalesce(area.ancestors, array_remove(ARRAY[nullif(here.area_id, '')], NULL)),
        coalesce(sums.persons, 0), coalesce(sums.seen, 0), coalesce(sums.records, 0),
        counted.line, counted.persons, counted.seen, counted.records, counted.size_milli,
        counted.doubt_milli
    FROM {given(CELL | {"number": "integer"})}
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
    """  # noqa: S608 - columns of our own
)


async def read_cells(reader: Reader, cells: Iterable[Cell]) -> list[Carry]:
    asked = sorted(cells)
    numbers = {"number": list(range(len(asked)))}
    rows = await reader.execute(CELLS, _cell_columns(asked) | numbers)
    found = []
    # By position and not by name: of a thousand rows the names cost more than the rest.
    for row in rows:
        plain: tuple[Any, ...] = tuple(row)
        number, line, persons, seen, records, *old = plain
        before = None if old[0] is None else Carried(*old)
        found.append(Carry(asked[number], line, persons, seen, records, before))
    return found


_SIZES = {"size_milli": "bigint", "doubt_milli": "bigint"}
WRITE_CELLS = text(
    f"""
    INSERT INTO alerts.site_counted AS counted
        (point_kind, syndrome, day, site_id, area_id, line, persons, seen, records, size_milli,
         doubt_milli)
    SELECT point_kind, syndrome, day, site_id, area_id, string_to_array(line, '|'), persons, seen,
        records, size_milli, doubt_milli
    FROM {given(CELL | {"line": "text"} | _SUMS | _SIZES)}
    ON CONFLICT (point_kind, syndrome, day, site_id, area_id) DO UPDATE
    SET line = excluded.line, persons = excluded.persons, seen = excluded.seen,
        records = excluded.records, size_milli = excluded.size_milli,
        doubt_milli = excluded.doubt_milli
    """  # noqa: S608 - columns of our own
)


async def write_cells(work: Work, carried: Sequence[tuple[Carry, int, int]]) -> None:
    """(cell, size, doubt): carried as they stand now."""
    cells = [one.cell for one, _, _ in carried]
    await work.execute(
        WRITE_CELLS,
        {
            **_cell_columns(cells),
            "line": ["|".join(one.line) for one, _, _ in carried],
            "persons": [one.persons for one, _, _ in carried],
            "seen": [one.seen for one, _, _ in carried],
            "records": [one.records for one, _, _ in carried],
            "size_milli": [size for _, size, _ in carried],
            "doubt_milli": [doubt for _, _, doubt in carried],
        },
    )


def _cell_columns(cells: Sequence[Cell]) -> dict[str, list[Any]]:
    return {name: [cell[at] for cell in cells] for at, name in enumerate(CELL)}


async def zones_of(reader: Reader, area_ids: Iterable[str]) -> dict[str, str]:
    """Of those areas that are known."""
    area = standard.area
    wanted = sorted(set(area_ids))
    rows = await reader.execute(
        select(area.c.area_id, area.c.zone).where(area.c.area_id.in_(wanted))
    )
    return {row.area_id: row.zone for row in rows}
