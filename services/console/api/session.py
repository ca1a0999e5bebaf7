"""Sign in and out."""

from __future__ import annotations

import math
import time
from typing import cast

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from services.console.api.doors import PageDoor, body_of, require_same_origin, sign_in_page
from services.console.domain.throttle import Throttle
from services.console.schemas.forms import SignIn, fields_of
from shared.access import SESSION_COOKIE, SESSION_SECONDS, Credentials
from shared.http import room_of

door = PageDoor("/console", tag="session")


# Open, because a credential is got here: without one in the form it refuses like every other route.
@door.on("POST", "/session", permission="-", area_scope="open")
async def sign_in(request: Request) -> Response:
    """Login and password for a session; `sign_out` instead ends it. Either way back to the page."""
    fields = fields_of(await body_of(request))
    if "sign_out" in fields:
        return end_session(request)
    try:
        form = SignIn.model_validate(fields)
    except ValidationError:
        return sign_in_page(request, 401, problem="wrong")
    if not form.login or not form.password:
        return sign_in_page(request, 401, problem="wrong" if fields else "")
    require_same_origin(request)
    throttle: Throttle = room_of(request).extras.setdefault("throttle", Throttle())
    wait_seconds = math.ceil(throttle.wait_seconds(form.login, time.monotonic()))
    if wait_seconds > 0:
        return sign_in_page(request, 429, problem="wait", wait_seconds=wait_seconds)
    credentials = cast(Credentials, request.app.state.credentials)
    # Counted before it is checked: attempts sent all at once would pass the brake together.
    throttle.failed(form.login, time.monotonic())
    token = await credentials.sign_in(form.login, form.password)
    if token is None:
        return sign_in_page(request, 401, problem="wrong")
    throttle.succeeded(form.login)
    response = RedirectResponse("/console/", 303)
    _set_session(request, response, token, SESSION_SECONDS)
    return response


@door.on("DELETE", "/session", permission="-", area_scope="open")
async def sign_out(request: Request) -> Response:
    """Forget the session in this browser."""
    return end_session(request)


def end_session(request: Request) -> Response:
    """Back to the sign-in page, without the cookie. Raises `OtherOrigin`."""
    if request.state.viewer is None:
        return sign_in_page(request, 401)
    require_same_origin(request)
    response = RedirectResponse("/console/", 303)
    _set_session(request, response, "", 0)
    return response


def _set_session(request: Request, response: Response, token: str, seconds: int) -> None:
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=seconds,
        path="/",
        secure=room_of(request).settings.session_cookie_secure,
        httponly=True,
        samesite="strict",
    )
