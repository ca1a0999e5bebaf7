"""Kept messages and what was odd about them."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from fastapi import Request

from services.intake.api.body import Limit, desk_of
from services.intake.handlers.kept import look_at_message
from services.intake.handlers.replay import replay_messages
from services.intake.repository.messages import MessageFilter, list_findings, list_messages
from services.intake.settings import PAGE_ROWS
from shared.bounds import Moment
from shared.database.work import Actor
from shared.http import Door, viewer_of

door = Door("/intake", tag="messages")
Replayable = Literal["waiting_for_registration", "failed", "test_without_effect"]


@door.on("GET", "/messages", permission="messages.read", area_scope="viewer")
async def get_messages(
    request: Request,
    state: str | None = None,
    before: Moment | None = None,
    before_id: UUID | None = None,
    limit: Limit = PAGE_ROWS,
) -> list[dict[str, Any]]:
    """Newest first; `before_id`, the last message of a page, leads to the next one.

    `state`: applied, refused, waiting_for_registration, test_without_effect, without_effect or
    failed.
    """
    async with desk_of(request).database.read() as session:
        wanted = MessageFilter(state=state, before=before, before_id=before_id)
        rows = await list_messages(session, viewer_of(request), wanted, limit=limit)
    return [_without_fingerprint(row._asdict()) for row in rows]


def _without_fingerprint(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name != "fingerprint"}


@door.on("GET", "/messages/{message_id}", permission="messages.read", area_scope="viewer")
async def get_message(request: Request, message_id: UUID) -> dict[str, Any]:
    """One message with its findings and its answer."""
    return await look_at_message(desk_of(request), message_id, viewer_of(request))


@door.on("POST", "/messages/replay", permission="messages.write", area_scope="everywhere")
async def post_replay(
    request: Request, state: Replayable = "waiting_for_registration"
) -> dict[str, int]:
    """Give kept messages the effect they could not have when they came."""
    actor = Actor(viewer_of(request).subject)
    return {"replayed": await replay_messages(desk_of(request), actor=actor, state=state)}


@door.on("GET", "/findings", permission="findings.read", area_scope="viewer")
async def get_findings(
    request: Request,
    code: str | None = None,
    message_id: UUID | None = None,
    before_id: int | None = None,
    limit: Limit = PAGE_ROWS,
) -> list[dict[str, Any]]:
    """What was odd about messages, newest first; `before_id` leads to the next page."""
    async with desk_of(request).database.read() as session:
        rows = await list_findings(
            session,
            viewer_of(request),
            MessageFilter(code=code, message_id=message_id, before_finding=before_id),
            limit=limit,
        )
    return [row._asdict() for row in rows]
