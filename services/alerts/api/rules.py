"""The trigger rules that count."""

from __future__ import annotations

from fastapi import Depends

from services.alerts.repository.rules import active_rules
from services.alerts.schemas.rules import RuleList, RuleView
from shared.http import Door, room_of
from shared.service import Room

door = Door("/alerts/rules", tag="rules")


@door.on("GET", "", permission="rules.read", area_scope="everywhere")
async def get_rules(room: Room = Depends(room_of)) -> RuleList:
    """Every active version of every rule."""
    async with room.database.read() as session:
        rules = await active_rules(session)
    return RuleList(
        rules=[
            RuleView(
                id=rule.id,
                version=rule.version,
                valid_from=rule.valid_from,
                valid_to=rule.valid_to,
                area_id=rule.area_id,
                source=rule.source,
                author=rule.author,
                document=rule.document.model_dump(mode="json"),
            )
            for rule in rules
        ]
    )
