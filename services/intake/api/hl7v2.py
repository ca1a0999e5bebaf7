"""HL7 version 2 over HTTP: the answer is always the acknowledgement, after the commit."""

from __future__ import annotations

from fastapi import Request, Response

from services.intake.api.body import desk_of, read_body
from services.intake.handlers.desk import Desk
from services.intake.handlers.messages import Post, take_messages
from services.intake.settings import BODY_BYTES_MAX
from shared.database.absence import is_away
from shared.errors import Unavailable
from shared.http import Door, viewer_of
from shared.log import logger

door = Door("/intake", tag="hl7v2")
LOG = logger("hl7v2")
ER7 = "x-application/hl7-v2+er7"


@door.on("POST", "/hl7v2", permission="hl7v2.write", area_scope="source")
async def post_message(request: Request) -> Response:
    """One message or a batch file; any bytes are answered with an acknowledgement."""
    viewer = viewer_of(request)
    post = Post(await read_body(request, BODY_BYTES_MAX), viewer.subject, viewer.source_id)
    desk = desk_of(request)
    return Response(await _take(desk, post), 200, media_type=ER7)


async def _take(desk: Desk, post: Post) -> bytes:
    """Once more after a failure (two batches may have met in the same persons), then without the
    effect: a message must be kept even when what it says breaks something here."""
    for attempt, with_effect in enumerate((True, True, False), start=1):
        try:
            return await take_messages(desk, post, with_effect=with_effect)
        except Exception as error:  # the edge: whatever broke, the message must not be lost
            if is_away(error) and attempt > 1:
                raise  # kept without its effect now, it would stay without one
            LOG.exception("message_failed", attempt=attempt)
    raise Unavailable("the message could not be kept", "send it again")
