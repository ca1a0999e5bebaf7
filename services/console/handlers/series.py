"""The series behind an alert's points: read when a card is looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from services.console.domain.alerts import Alert
from services.console.domain.series import (
    DAYS_AFTER,
    DAYS_BEFORE,
    FIGURES_MOST,
    Figure,
    SeriesDay,
    SeriesName,
    figure_of,
)
from services.console.handlers.board import Asking, Names, one_card
from services.console.repository.readings import read_series


@dataclass(frozen=True, slots=True)
class SeriesPart:
    """The figures of one alert; with `trouble` they show only the days that the alert tells."""

    alert: Alert
    names: Names
    figures: Sequence[Figure] = ()
    trouble: bool = False


async def series_part(asking: Asking, alert_id: str) -> SeriesPart:
    """Raises `CardNotFound` and `OwnerAway`."""
    alert, names = await one_card(asking, alert_id)
    wanted = alert.series[:FIGURES_MOST]
    found = await asyncio.gather(*(_days(asking, name, alert) for name in wanted))
    figures = [figure_of(name, days) for name, (days, _) in zip(wanted, found, strict=True) if days]
    return SeriesPart(alert, names, figures, any(trouble for _, trouble in found))


async def _days(asking: Asking, name: SeriesName, alert: Alert) -> tuple[Sequence[SeriesDay], bool]:
    """The days of a series around those that lit a point; these as the alert tells them."""
    told = alert.days_of(name)
    first, last = min(one.day for one in told), max(one.day for one in told)
    answer = await asking.owners.get(
        "alerts",
        "/alerts/series",
        asking.credential,
        area=name.area_id,
        kind=name.point_kind,
        syndrome=name.syndrome,
        **{
            "from": (first - timedelta(days=DAYS_BEFORE)).isoformat(),
            "until": (last + timedelta(days=DAYS_AFTER)).isoformat(),
        },
    )
    lit = {one.day: one for one in told}
    try:
        around = read_series(answer.body) if answer.fine else []
    except (KeyError, ValueError):
        return told, True
    return [*(one for one in around if one.day not in lit), *told], not answer.fine
