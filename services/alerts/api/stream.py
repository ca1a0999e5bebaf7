"""The alert stream: server-sent events."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header, Query, Request
from fastapi.responses import Response
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.types import Receive, Scope, Send

from services.alerts.handlers.stream import stream_alerts
from shared.access import Viewer
from shared.errors import BadRequest
from shared.http import Door, is_same_viewer, room_of, viewer_of
from shared.log import logger
from shared.service import Room

LOG = logger("stream")
HEARTBEAT_SECONDS = 15
# A client that takes nothing for so long is dropped; it resumes where it was.
SEND_SECONDS = 10.0
# An offset of the log; the page is before the first event at -1.
_ID = re.compile(r"-1|[0-9]{1,18}")
door = Door("/alerts/stream", tag="stream")


class AlertStream(EventSourceResponse):
    """A client too slow to be sent to is no error of ours."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            LOG.info("slow_stream_dropped")


@door.on("GET", "", permission="alerts.read", area_scope="viewer", response_class=Response)
async def get_stream(
    request: Request,
    last_event_id: Annotated[str | None, Header()] = None,
    after: Annotated[
        int | None, Query(ge=-1, lt=10**18, description="as Last-Event-ID, for a first call")
    ] = None,
    room: Room = Depends(room_of),
    viewer: Viewer = Depends(viewer_of),
) -> Response:
    """Alerts of the viewer's areas as they come. The id of an event is its offset in the log; a
    client that comes back with `Last-Event-ID` misses nothing."""
    return AlertStream(
        stream_alerts(
            room,
            viewer,
            last_offset=_offset(last_event_id, after),
            still_may=lambda: is_same_viewer(request),
        ),
        ping=HEARTBEAT_SECONDS,
        send_timeout=SEND_SECONDS,
    )


def _offset(last_event_id: str | None, after: int | None) -> int | None:
    """The header comes from a stream that broke off, so it is newer than the address."""
    if not last_event_id:
        return after
    if not _ID.fullmatch(last_event_id):
        raise BadRequest("Last-Event-ID is not an id of this stream", "send the last id you got")
    return int(last_event_id)
