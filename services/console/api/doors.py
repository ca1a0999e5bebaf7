"""A door for people: refusals are pages, and acts come from our own pages alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request, Response

from services.console.api.render import page_alone
from services.console.handlers.board import Asking
from services.console.handlers.places import PlaceNames
from services.console.repository.owners import owners_of
from services.console.schemas.forms import FORM_BYTES_MOST
from shared.access import SESSION_COOKIE
from shared.errors import Forbidden, OtherOrigin, TooLarge, Unauthenticated
from shared.http import Door, GuardedRoute, comes_from_elsewhere, room_of, viewer_of

# What everybody on the board may do; the owners check again, with their own permissions and areas.
READ = "alerts.read"
ACT = "alerts.write"
CASES = "cases.read"


class PageRoute(GuardedRoute):
    """The guard's refusals as pages: 401 is the sign-in page itself."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        guarded = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                response: Response = await guarded(request)
            except Unauthenticated:
                return sign_in_page(request, 401)
            except Forbidden as error:
                asked = (self.openapi_extra or {}).get("x-permission")
                kind = "cases" if asked == CASES else "permission"
                kind = "origin" if isinstance(error, OtherOrigin) else kind
                return page_alone(request, "refused.html", 403, headers={}, kind=kind)
            return response

        return answered


class PageDoor(Door):
    """A `Door` whose refusals are pages."""

    def __init__(self, prefix: str, *, tag: str) -> None:
        super().__init__(prefix, tag=tag)
        self.route_class = PageRoute


def sign_in_page(
    request: Request, status: int, *, problem: str = "", wait_seconds: int = 0
) -> Response:
    """The sign-in page as the body of an answer that refuses; `problem` names what to say."""
    headers = {"WWW-Authenticate": "Session"} if status == 401 else {}
    if wait_seconds:
        headers["Retry-After"] = str(wait_seconds)
    if "hx-request" in request.headers:
        # A part of an open page met an ended session: the whole page goes.
        headers["HX-Refresh"] = "true"
    return page_alone(
        request,
        "sign_in.html",
        status,
        headers=headers,
        problem=problem,
        wait_seconds=wait_seconds,
    )


def require_same_origin(request: Request) -> None:
    """Beside `SameSite=Strict`: the browser itself says which page acts. Raises `OtherOrigin`."""
    if comes_from_elsewhere(request):
        raise OtherOrigin("the request comes from another site")
    if not {"sec-fetch-site", "origin"} & set(request.headers):
        raise OtherOrigin("neither Sec-Fetch-Site nor Origin is sent")


async def body_of(request: Request) -> bytes:
    """The few bytes of a form. Raises `TooLarge` before it has read more."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > FORM_BYTES_MOST:
            raise TooLarge("a form of this page is never so large")
    return body


def credential_of(request: Request) -> dict[str, str]:
    """The viewer's own credential as it came, and nothing else of the request."""
    headers = {
        name: request.headers[name]
        for name in ("authorization", "x-api-key")
        if name in request.headers
    }
    session = request.cookies.get(SESSION_COOKIE)
    return {**headers, "cookie": f"{SESSION_COOKIE}={session}"} if session else headers


def asking_of(request: Request) -> Asking:
    """Whom this request asks, and in whose name."""
    room = room_of(request)
    places: PlaceNames = room.extras.setdefault("place_names", PlaceNames())
    return Asking(
        owners=owners_of(room),
        database=room.database,
        places=places,
        subject=viewer_of(request).subject,
        credential=credential_of(request),
    )
