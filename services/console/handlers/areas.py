"""Areas are heard."""

from __future__ import annotations

from collections.abc import Sequence

from services.console.tables import standard
from shared.areas import store_areas
from shared.database.work import Work
from shared.events.intake import AreaChanged


async def hear_areas(work: Work, events: Sequence[AreaChanged]) -> None:
    """Keep the newest version of each."""
    await store_areas(work, standard, events)
