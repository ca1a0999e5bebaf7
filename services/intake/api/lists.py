"""Lists as people keep them: CSV, unedited."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response

from services.intake.api.body import desk_of, read_body, source_of
from services.intake.handlers.lists import import_list
from services.intake.settings import LIST_BYTES_MAX
from shared.http import Door, viewer_of

door = Door("/intake", tag="lists")


@door.on("POST", "/lists", permission="lists.write", area_scope="source", status_code=202)
async def post_list(
    request: Request,
    disease: Annotated[str, Query(pattern=r"^[a-z][a-z0-9_]{0,63}$")],
    id_scheme: Annotated[str, Query(min_length=1, max_length=200)],
    source: UUID | None = None,
) -> Response:
    """A line list of cases, or pairs of who infected whom; its headings tell which."""
    source_id = await source_of(request, source)
    reply = await import_list(
        desk_of(request),
        await read_body(request, LIST_BYTES_MAX),
        disease=disease,
        id_scheme=id_scheme,
        source_id=source_id,
        subject=viewer_of(request).subject,
    )
    return Response(reply, 202, media_type="application/json")
