"""A process of tracing with nothing but its database and clock, and its city on demand."""

from __future__ import annotations

from typing import Any, cast

from services.tracing.handlers.city import KEEPER, CityKeeper, keeper_of
from shared.service import Room
from shared.settings import Settings
from tests.service.tracing.desk import Desk


def room_of(desk: Desk, **changes: Any) -> Room:
    """One that reads a city however few visits there are."""
    settings = Settings(tracing_city_from_visits=0, **changes)
    absent = cast("Any", None)
    room = Room("tracing", desk.database, absent, desk.clock, settings, absent)
    # Tests refresh when they say so, not every second.
    room.extras[KEEPER] = CityKeeper(room, stale_seconds=3600)
    return room


async def fresh(desk: Desk) -> Room:
    """One that has just built its city."""
    room = room_of(desk)
    keeper = keeper_of(room)
    await keeper.step()
    assert keeper.city is not None
    return room
