"""The HTTP door: every route declares permission and area scope; every error is problem+json."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal, cast
from uuid import uuid4

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.access import Credentials, Viewer
from shared.database.absence import AWAY, MISTAKES, is_unkeepable
from shared.errors import (
    AppError,
    BadRequest,
    Forbidden,
    InvalidPayload,
    OtherOrigin,
    Unauthenticated,
    Unavailable,
    field_at,
)
from shared.log import logger
from shared.metrics import REQUEST_SECONDS
from shared.service import Room, Service

LOG = logger("http")

# viewer: rows of the viewer's areas only · source: bound to the client's own source ·
# everywhere: the record has no area (policies, metrics) and the permission alone decides.
AreaScope = Literal["viewer", "source", "everywhere", "open"]
Handler = Callable[[Request], Awaitable[Response]]


class GuardedRoute(APIRoute):
    """Refuses before the body is read: 401 without a credential, 403 without the permission."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()
        declared = self.openapi_extra or {}
        permission, scope = declared.get("x-permission"), declared.get("x-area-scope")
        if permission is None or scope is None:
            raise TypeError(f"{self.path} declares no permission or area scope: use Door")

        async def guarded(request: Request) -> Response:
            if scope != "open":
                viewer = request.state.viewer
                if viewer is None:
                    raise Unauthenticated(
                        "this route needs an API key or a session",
                        "send `Authorization: Bearer <key>` or sign in",
                    )
                if not viewer.may(permission):
                    raise Forbidden(f"the permission {permission} is missing", "ask for the scope")
                _refuse_borrowed_session(request, viewer)
            if b"%00" in request.scope["query_string"]:  # PostgreSQL keeps no NUL, nobody means one
                raise BadRequest("the address holds a NUL sign", "send it without %00")
            return await handle(request)

        return guarded


def comes_from_elsewhere(request: Request) -> bool:
    """Whether the browser says that a page of another origin sends this. Ports are origins too:
    `SameSite` lets those through. Who sends neither header is no browser."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site != "same-origin":
        return True
    return origin is not None and origin.partition("://")[2] != request.headers.get("host")


def _refuse_borrowed_session(request: Request, viewer: Viewer) -> None:
    """A key is never sent by a browser of itself, a session is: writes with one come from our own
    pages alone."""
    writes = request.method not in ("GET", "HEAD")
    if writes and viewer.subject.startswith("staff:") and comes_from_elsewhere(request):
        raise OtherOrigin("the request comes from another site", "act on the console itself")


class Door(APIRouter):
    """A router whose every route names its permission and area scope."""

    def __init__(self, prefix: str, *, tag: str) -> None:
        super().__init__(prefix=prefix, tags=[tag], route_class=GuardedRoute)

    def on(
        self, method: str, path: str, *, permission: str, area_scope: AreaScope, **options: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """`@door.on("POST", "/scans", permission="scans.write", area_scope="source")`."""
        extra = dict(options.pop("openapi_extra", {}))
        extra |= {"x-permission": permission, "x-area-scope": area_scope}
        return self.api_route(path, methods=[method], openapi_extra=extra, **options)


def room_of(request: Request) -> Room:
    """The service's room; a FastAPI dependency."""
    return cast(Room, request.app.state.room)


def viewer_of(request: Request) -> Viewer:
    """Who is asking; a FastAPI dependency. Routes are guarded, so there is one."""
    return cast(Viewer, request.state.viewer)


async def is_same_viewer(request: Request) -> bool:
    """Whether the credential of a request that lasts still gives what it gave when it began. A
    database away ends no stream."""
    credentials = cast(Credentials, request.app.state.credentials)
    try:
        viewer = await credentials.of_headers(dict(request.scope["headers"]))
    except AWAY:
        return True
    return viewer == viewer_of(request)


class Doorkeeper:
    """Pure ASGI: finds the viewer, bounds the writes in flight, measures. No dependency on the hot
    path.
    """

    def __init__(self, app: ASGIApp, *, credentials: Credentials, service: str, room: Room) -> None:
        self._app = app
        self._credentials = credentials
        self._service = service
        self._writes_most = room.settings.writes_in_flight
        self._pressure = room.pressure
        self._writes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def watch(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._enter(scope, receive, watch)
        finally:
            REQUEST_SECONDS.labels(self._service, _route_of(scope), str(status)).observe(
                time.perf_counter() - started
            )

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        write = scope["method"] not in ("GET", "HEAD")
        state = scope.setdefault("state", {})
        try:
            state["viewer"] = await self._credentials.of_headers(dict(scope["headers"]))
        except AWAY:
            await problem(Unavailable("the database is away", "try again"))(scope, receive, send)
            return
        if write and self._writes >= self._writes_most:
            busy = Unavailable("too many writes at once", "wait as long as Retry-After says")
            await problem(busy)(scope, receive, send)
            return
        self._writes += write
        self._pressure.writes += write
        try:
            await self._app(scope, receive, send)
        finally:
            self._writes -= write
            self._pressure.writes -= write


def _route_of(scope: Scope) -> str:
    """The template, never the path: that is the sender's own text."""
    return getattr(scope.get("route"), "path", "unmatched")


def problem(error: AppError) -> JSONResponse:
    """An error as problem+json."""
    headers = {}
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        error.as_problem(), error.status, headers, media_type="application/problem+json"
    )


def build_app(service: Service, room: Room, credentials: Credentials) -> FastAPI:
    """The service's application, with its room and the doorkeeper in front."""
    # The documentation pages of FastAPI load scripts from a CDN: off. The document itself is a
    # guarded route.
    app = FastAPI(
        title=f"Outpost {service.name}",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.room = room
    app.state.credentials = credentials
    for router in service.routers:
        app.include_router(router)
    app.include_router(_about(service.name))
    answer_errors(app)
    app.add_middleware(Doorkeeper, credentials=credentials, service=service.name, room=room)
    return app


def _about(name: str) -> Door:
    door = Door(f"/{name}", tag="about")

    @door.on("GET", "/openapi.json", permission="docs.read", area_scope="everywhere")
    async def openapi(request: Request) -> dict[str, Any]:
        """This service's OpenAPI document."""
        return cast(FastAPI, request.app).openapi()

    return door


def answer_errors(app: FastAPI) -> None:
    """Every error as problem+json, none with a value that came in."""

    async def expected(_: Request, error: Exception) -> Response:
        return problem(cast(AppError, error))

    async def invalid(_: Request, error: Exception) -> Response:
        # Places and expectations only: the values that came in could name a person.
        problems = [
            {
                "field": field_at([one for one in item["loc"] if one != "body"], item["type"]),
                "text": item["msg"],
                "expected": item["type"],
            }
            for item in cast(RequestValidationError, error).errors()
        ]
        body = {
            "type": "urn:outpost:problem:invalid-payload",
            "title": "The payload breaks its contract",
            "status": 422,
            "detail": f"{len(problems)} field(s) are wrong",
            "problems": problems,
        }
        return JSONResponse(body, 422, media_type="application/problem+json")

    async def framework(_: Request, error: Exception) -> Response:
        known = cast(HTTPException, error)
        body = {
            "type": "about:blank",
            "title": str(known.detail),
            "status": known.status_code,
            "detail": "see the documentation of this route",
        }
        return JSONResponse(
            body,
            known.status_code,
            dict(known.headers or {}),
            media_type="application/problem+json",
        )

    async def away(request: Request, error: Exception) -> Response:
        if is_unkeepable(error):
            LOG.warning("value_unkeepable", route=_route_of(request.scope))
            told = "a value does not fit: NUL, or a number or an instant out of range"
            return problem(InvalidPayload(told, "send text without NUL and dates people live in"))
        LOG.warning("database_unavailable", error=type(error).__name__)
        return problem(Unavailable("the database is away", "try again; nothing was stored"))

    async def unexpected(request: Request, error: Exception) -> Response:
        reference = str(uuid4())
        LOG.error(
            "request_failed", reference=reference, route=_route_of(request.scope), exc_info=error
        )
        body = AppError("something broke here; it is logged", f"quote the reference {reference}")
        return problem(body)

    app.add_exception_handler(AppError, expected)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, framework)
    for kind in AWAY:
        app.add_exception_handler(kind, away)
    # The nearest class decides, so a mistake is not taken for an absence.
    for mistake in (*MISTAKES, Exception):
        app.add_exception_handler(mistake, unexpected)
