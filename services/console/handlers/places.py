"""Names of places, asked of intake in the viewer's name and remembered for a minute."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from services.console.repository.owners import Owners
from services.console.repository.readings import items_of

REMEMBERED_SECONDS = 60.0
REMEMBERED_MOST = 5_000
# A page with 200 cards may name more places than anyone reads: the rest are shown by their ids.
ASKED_MOST = 100


@dataclass(frozen=True, slots=True)
class PlaceName:
    """A place as people call it, and its code."""

    code: str
    name_zh: str
    name_en: str

    def name(self, language: str) -> str:
        first, second = self.name_zh, self.name_en
        if language == "en":
            first, second = second, first
        return first or second or self.code


class PlaceNames:
    """What intake told, per viewer: another viewer may not be allowed to see the same place."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[float, PlaceName | None]] = {}

    async def of(
        self,
        owners: Owners,
        subject: str,
        credential: Mapping[str, str],
        place_ids: Collection[str],
    ) -> dict[str, PlaceName]:
        """The names that are known or can be had now; a place without one is absent."""
        now = time.monotonic()
        found: dict[str, PlaceName | None] = {}
        for place_id in place_ids:
            asked_at, name = self._known.get((subject, place_id), (float("-inf"), None))
            if now - asked_at < REMEMBERED_SECONDS:
                found[place_id] = name
        missing = sorted(set(place_ids) - set(found))[:ASKED_MOST]
        if missing:
            answer = await owners.get("intake", "/intake/places", credential, place_id=missing)
            if len(self._known) + len(missing) > REMEMBERED_MOST:
                self._known.clear()
            told = _read(answer.body) if answer.fine else {}
            for place_id in missing:
                found[place_id] = told.get(place_id)
                # An intake that is away is asked again with the next page.
                if answer.fine:
                    self._known[subject, place_id] = (now, found[place_id])
        return {place_id: name for place_id, name in found.items() if name is not None}


def _read(body: Any) -> dict[str, PlaceName]:
    return {
        str(item.get("place_id")): PlaceName(
            *(str(item.get(field) or "") for field in ("code", "name_zh", "name_en"))
        )
        for item in items_of(body, "places", "items")
    }
