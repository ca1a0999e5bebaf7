"""One alert: its card, and what a person does to it."""

from __future__ import annotations

from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from services.console.api.doors import (
    ACT,
    READ,
    PageDoor,
    asking_of,
    body_of,
    require_same_origin,
)
from services.console.api.render import page
from services.console.handlers.acts import act_on_alert
from services.console.handlers.board import one_card
from services.console.handlers.series import series_part
from services.console.schemas.forms import Act, fields_of
from shared.http import viewer_of

door = PageDoor("/console", tag="alerts")


@door.on("GET", "/alerts/{alert_id}", permission=READ, area_scope="viewer")
async def card(request: Request, alert_id: UUID) -> Response:
    """The card of one alert."""
    return await _card(request, alert_id, problem="")


@door.on("GET", "/alerts/{alert_id}/series", permission=READ, area_scope="viewer")
async def series(request: Request, alert_id: UUID) -> Response:
    """The series behind the alert's points, as pictures for its card."""
    part = await series_part(asking_of(request), str(alert_id))
    return page(request, "series.html", part.names, figures=part.figures, trouble=part.trouble)


@door.on("POST", "/alerts/{alert_id}/act", permission=ACT, area_scope="viewer")
async def act(request: Request, alert_id: UUID) -> Response:
    """Acknowledge, verify, close or dismiss (the last two with a reason); answers the card as it
    is then.
    """
    require_same_origin(request)
    fields = fields_of(await body_of(request))
    try:
        form = Act.model_validate(fields)
    except ValidationError:
        problem = "act.reason_long"
    else:
        problem = await act_on_alert(asking_of(request), str(alert_id), form.act, form.reason)
    if "hx-request" not in request.headers and not problem:
        return RedirectResponse("/console/", 303)
    return await _card(request, alert_id, problem=problem)


async def _card(request: Request, alert_id: UUID, *, problem: str) -> Response:
    alert, names = await one_card(asking_of(request), str(alert_id))
    may_act = viewer_of(request).may(ACT)
    return page(request, "card.html", names, alert=alert, may_act=may_act, problem=problem)
