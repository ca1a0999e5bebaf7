"""HL7 version 2 over HTTP: the answer is always the acknowledgement, after the commit."""

from __future__ import annotations

from fastapi import Request, Response
from sqlalchemy.exc import InterfaceError, OperationalError

from services.intake.api.body import desk_of, read_body
from services.intake.handlers.messages import Post, take_messages
from services.intake.settings import BODY_BYTES_MAX
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
    try:
        reply = await take_messages(desk, post)
    except (OperationalError, InterfaceError, OSError):
        raise
    except Exception:  # the edge: the message must be kept even when its effect breaks
        LOG.exception("message_effect_failed")
        try:
            reply = await take_messages(desk, post, with_effect=False)
        except Exception as error:
            raise Unavailable("the message could not be kept", "send it again") from error
    return Response(reply, 200, media_type=ER7)
