"""Three thousand townships with a site of each kind, their last fortnight, and twenty rules: what
reports come into."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.alerts.handlers.copies import hear_areas
from services.alerts.handlers.counts import refit_key
from services.alerts.repository.fits import Topic
from services.alerts.tables import standard
from shared.database.work import Actor, Database, administration
from shared.events.intake import AreaChanged
from shared.ids import derived_id
from shared.policy import PolicyFile, store_policy

CITY = "bench:city"
COUNTY_TOWNSHIPS = 100
KINDS = (
    "fever_clinic", "emergency", "outpatient", "inpatient", "pharmacy", "school", "kindergarten",
    "nursing_home", "workplace",
)  # fmt: skip
HISTORY_DAYS = 14
ZONE = "Asia/Shanghai"
# A site tells two to eight persons a day, of about twenty who were seen.
HISTORY = """
    CREATE TEMPORARY TABLE told ON COMMIT DROP AS
    SELECT kind, 'fever' AS syndrome, CAST(:today AS date) - back AS day,
        CAST(md5(kind || ' ' || number) AS uuid) AS site_id,
        'bench:t' || number AS area_id,
        ARRAY['bench:t' || number, 'bench:c' || (number / :county), :city] AS line,
        2 + abs(hashtext(kind || number || '-' || back)) % 7 AS persons
    FROM unnest(CAST(:kinds AS text[])) AS kind, generate_series(0, :townships - 1) AS number,
        generate_series(1, :days) AS back;
    INSERT INTO alerts.site_day
    SELECT kind, syndrome, day, site_id, area_id, 0, persons, 20, 20 FROM told;
    INSERT INTO alerts.site_counted
    SELECT kind, syndrome, day, site_id, area_id, line, persons, 20, 20, 0, 0 FROM told;
    INSERT INTO alerts.series_day
        (point_kind, syndrome, day, area_id, persons, seen, records, sites, size_milli, doubt_milli)
    SELECT kind, syndrome, day, unnest(line) AS area, sum(persons), sum(20), sum(20), count(*), 0, 0
    FROM told GROUP BY kind, syndrome, day, area
"""
RULE: dict[str, Any] = {
    "title_zh": "测量", "title_en": "Measured", "level": "blue", "point_kinds": list(KINDS),
    "min_points": 2, "min_kinds": 2, "min_persons": 5, "count_unlinked": True, "window_hours": 48,
    "quiet_hours": 72, "area_level": "township", "area_of": "place",
}  # fmt: skip


def township_id(number: int) -> str:
    return f"bench:t{number}"


def site_id(kind: str, number: int) -> UUID:
    return UUID(hashlib.md5(f"{kind} {number}".encode(), usedforsecurity=False).hexdigest())


def rules() -> dict[str, dict[str, Any]]:
    """Five on single events, ten on days above what was expected, five on both; half of them look
    at townships, half at counties."""
    found: dict[str, dict[str, Any]] = {}
    for number in range(20):
        kinds = [KINDS[(number + step) % len(KINDS)] for step in range(4)]
        changes: dict[str, Any] = {"point_kinds": kinds, "min_kinds": 2 + number % 2}
        changes["area_level"] = "township" if number % 2 else "county"
        if number < 5:
            changes |= {"min_points": 3, "window_hours": 1, "quiet_hours": 2}
        else:
            changes |= {"lit_by": "excess", "p_below": 0.01 if number % 3 else None}
        if number >= 15:
            changes["kinds"] = {kinds[0]: {"lit_by": "event", "weight": 0.5}}
        found[f"bench {number}"] = RULE | changes
    return found


def _area(area_id: str, parent_id: str | None, level: str, at: datetime) -> AreaChanged:
    return AreaChanged(
        record_id=derived_id("bench area", area_id), record_version=1, occurred_at=at,
        recorded_at=at, area_id=area_id, parent_id=parent_id, level=level, name=area_id, zone=ZONE,
    )  # fmt: skip


def areas(townships: int, at: datetime) -> list[AreaChanged]:
    counties = range((townships - 1) // COUNTY_TOWNSHIPS + 1)
    found = [_area(CITY, None, "prefecture", at)]
    found += [_area(f"bench:c{number}", CITY, "county", at) for number in counties]
    return found + [
        _area(township_id(number), f"bench:c{number // COUNTY_TOWNSHIPS}", "township", at)
        for number in range(townships)
    ]


async def found_town(
    database: Database, admin: AsyncEngine, townships: int, today: date, at: datetime
) -> None:
    """Areas, history, rules; fits are due."""
    for rows in _chunks(areas(townships, at), 500):
        async with database.work(Actor("event:bench")) as work:
            await hear_areas(work, rows)
    async with administration(admin) as connection:
        told = {"today": today, "county": COUNTY_TOWNSHIPS, "city": CITY, "kinds": list(KINDS)}
        told |= {"townships": townships, "days": HISTORY_DAYS}
        for statement in HISTORY.split(";"):
            names = {name: value for name, value in told.items() if f":{name}" in statement}
            await connection.execute(text(statement), names)
    async with database.work(Actor("command")) as work:
        for name, document in rules().items():
            file = PolicyFile(
                id=name, version=1, kind="alerts.rule", valid_from=date(2009, 1, 1),
                source="bench", author="bench", document=document,
            )  # fmt: skip
            await store_policy(work, standard, file, state="active")
        work.due("refit", [refit_key(Topic(kind, "fever"), today) for kind in KINDS])


def _chunks(rows: Sequence[AreaChanged], size: int) -> list[Sequence[AreaChanged]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
