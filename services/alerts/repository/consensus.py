"""What the streams of areas said together, as it was last reckoned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row

from services.alerts.tables import consensus, series_day
from shared.database.work import Work
from shared.policy import Reader


@dataclass(frozen=True, slots=True)
class Told:
    """One version of a rule."""

    rule_id: str
    version: int

    @property
    def lock(self) -> str:
        return f"consensus/{self.rule_id}/{self.version}"


async def scores_between(
    reader: Reader, told: Told, from_day: date, until_day: date
) -> dict[str, dict[date, float]]:
    """Per area the scores of its days, both ends included."""
    days, scores = func.array_agg(consensus.c.day), func.array_agg(consensus.c.score)
    rows = await reader.execute(
        select(consensus.c.area_id, days.label("days"), scores.label("scores"))
        .where(
            consensus.c.rule_id == told.rule_id,
            consensus.c.rule_version == told.version,
            consensus.c.day.between(from_day, until_day),
        )
        .group_by(consensus.c.area_id)
    )
    return {row.area_id: dict(zip(row.days, row.scores, strict=True)) for row in rows}


async def judged_days(
    reader: Reader, kinds: Sequence[str], from_day: date, until_day: date
) -> set[date]:
    """The days on which some series of these kinds has a p-value."""
    rows = await reader.execute(
        select(series_day.c.day)
        .where(
            series_day.c.point_kind.in_(kinds),
            series_day.c.day.between(from_day, until_day),
            series_day.c.abstains == 0,
            series_day.c.p_value.is_not(None),
        )
        .distinct()
    )
    return {row.day for row in rows}


async def consents_on(reader: Reader, told: Told, days: Sequence[date]) -> list[Row[Any]]:
    """The rows of these days, of all areas."""
    rows = await reader.execute(
        select(consensus).where(
            consensus.c.rule_id == told.rule_id,
            consensus.c.rule_version == told.version,
            consensus.c.day.in_(days),
        )
    )
    return list(rows)


async def store_consents(work: Work, rows: Sequence[dict[str, Any]]) -> None:
    """Write what changed over what stands."""
    if not rows:
        return
    statement = insert(consensus)
    key = list(consensus.primary_key.columns)
    names = {column.name for column in key}
    await work.execute(
        statement.on_conflict_do_update(
            index_elements=key,
            set_={name: statement.excluded[name] for name in rows[0] if name not in names},
        ),
        rows,
    )


async def forget_consents(work: Work, told: Told, gone: Sequence[tuple[str, date]]) -> None:
    """Days on which no stream of the area says anything any more."""
    for area_id, day in gone:
        await work.execute(
            consensus.delete().where(
                consensus.c.rule_id == told.rule_id,
                consensus.c.rule_version == told.version,
                consensus.c.area_id == area_id,
                consensus.c.day == day,
            )
        )
