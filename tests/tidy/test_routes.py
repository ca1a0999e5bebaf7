"""Every route says which permission it needs and which areas it shows, and is guarded by that."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from typing import Any, cast, get_args

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.requests import Request
from starlette.responses import Response

from shared.delivery.consumer import ConsumerLoop
from shared.front import build_front
from shared.http import AreaScope, Door, GuardedRoute, build_app
from shared.service import Room, Service
from shared.settings import Settings
from tests.tidy.tree import SERVICES

SCOPES = frozenset(get_args(AreaScope))
# Without a credential: the platform's probes, which tell a state and nothing else; and where a
# credential is got, which refuses whoever brings none in its form.
OPEN = frozenset({"/livez", "/readyz", "/console/session"})


def _app(name: str) -> FastAPI:
    """The service's application as it is served; nothing is connected."""
    service = cast("Service", importlib.import_module(f"services.{name}.app").service)
    absent = cast("Any", None)
    room = Room(
        name=name,
        database=absent,
        bus=absent,
        clock=absent,
        settings=Settings(),
        freshness=absent,
    )
    return build_app(service, room, absent)


def _routes(name: str) -> list[RouteContext]:
    return list(iter_route_contexts(_app(name).routes))


class _Process:
    """What the front asks of a process, with nothing in it but the console's room."""

    def __init__(self, room: Room) -> None:
        self.rooms = {"console": room}
        self.bus = room.bus
        self.consumers: list[ConsumerLoop] = []


def _undeclared(routes: Iterable[RouteContext]) -> Iterator[str]:
    for route in routes:
        if not isinstance(route.original_route, GuardedRoute):
            yield f"{route.path} is not made by a Door: nothing guards it"
            continue
        declared = route.openapi_extra or {}
        if not declared.get("x-permission"):
            yield f"{route.path} declares no permission"
        if declared.get("x-area-scope") not in SCOPES:
            yield f"{route.path} declares no area scope"
        if declared.get("x-area-scope") == "open" and route.path not in OPEN:
            yield f"{route.path} is open to everyone"


@pytest.mark.parametrize("name", SERVICES)
def test_every_route_declares_permission_and_area_scope(name: str) -> None:
    routes = _routes(name)
    assert len(routes) > 1, f"{name} has no HTTP door of its own"
    assert list(_undeclared(routes)) == []


def test_the_process_opens_its_probes_and_nothing_else() -> None:
    console = _app("console")
    front = build_front({"console": console}, _Process(console.state.room))
    routes = list(iter_route_contexts(cast("FastAPI", front.own).routes))
    assert {route.path for route in routes} == {"/livez", "/readyz", "/metrics"}
    assert list(_undeclared(routes)) == []


@pytest.mark.parametrize("name", SERVICES)
def test_every_route_carries_its_services_prefix(name: str) -> None:
    paths = [route.path or "" for route in _routes(name)]
    assert [path for path in paths if not f"{path}/".startswith(f"/{name}/")] == []


@pytest.mark.parametrize("name", SERVICES)
def test_no_two_routes_answer_the_same_call(name: str) -> None:
    calls = [
        (method, route.path_format)
        for route in _routes(name)
        for method in sorted(route.methods or ())
    ]
    assert sorted(set(calls), key=str) == sorted(calls, key=str)


def test_a_route_that_declares_nothing_is_found() -> None:
    async def answer(_: Request) -> Response:
        return Response()

    door = Door("/bakery", tag="bakery")
    door.on("GET", "/ovens", permission="ovens.read", area_scope="viewer")(answer)
    door.on("GET", "/window", permission="ovens.read", area_scope="open")(answer)
    door.on("GET", "/cellar", permission="", area_scope="viewer")(answer)
    plain = APIRouter()
    plain.add_api_route("/bakery/loaves", answer)
    plain.add_route("/bakery/raw", answer)
    whole = APIRouter()
    whole.include_router(door)
    whole.include_router(plain)
    assert list(_undeclared(iter_route_contexts(whole.routes))) == [
        "/bakery/window is open to everyone",
        "/bakery/cellar declares no permission",
        "/bakery/loaves is not made by a Door: nothing guards it",
        "/bakery/raw is not made by a Door: nothing guards it",
    ]
