"""Every door of a running process, tried without a credential and with one that may do nothing."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import cast

import httpx
import pytest
import pytest_asyncio
import yaml
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import URL

from services.__main__ import SERVICES
from shared.credentials import ROLES_FILE, Grant, issue_key
from shared.front import Front
from shared.runtime import Runtime
from tests.conftest import drop_database
from tests.journey.conftest import NOW
from tests.journey.database import copy_template
from tests.journey.harness import journey_settings

PROBES = {"/livez", "/readyz"}
# Whoever signs in brings a credential in the form; without one it refuses like every other door.
SIGN_IN = "/console/session"
NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest_asyncio.fixture(scope="module")
async def running(
    template: URL, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Runtime]:
    name = f"doors_{secrets.token_hex(6)}"
    url = await copy_template(template, name)
    runtime = Runtime(SERVICES, journey_settings(url, tmp_path_factory.mktemp("doors"), at=NOW))
    await runtime.start()
    yield runtime
    await runtime.stop()
    await drop_database(template, name)


def doors(front: Front) -> Iterator[tuple[str, str, str]]:
    """(method, path with parameters filled in, permission) of every route of the process."""
    for app in (*front.apps.values(), cast("FastAPI", front.own)):
        for route in iter_route_contexts(app.routes):
            path = re.sub(r"\{[^}]*\}", NOBODY, route.path or "")
            declared = route.openapi_extra or {}
            for method in sorted(route.methods or ()):
                yield method, path, declared.get("x-permission", "")


async def test_every_door_but_the_probes_refuses_without_a_credential(running: Runtime) -> None:
    tried = 0
    async with httpx.AsyncClient(base_url=running.base_url, timeout=10) as client:
        for method, path, _ in doors(running.front):
            answer = await client.request(method, path)
            expected = {200, 503} if path in PROBES else {401}
            assert answer.status_code in expected, f"{method} {path}: {answer.status_code}"
            tried += 1
    assert tried > 60


async def test_a_forged_key_and_a_forged_session_open_nothing(running: Runtime) -> None:
    forged = (
        {"Authorization": "Bearer opk_000000000000_forged"},
        {"X-API-Key": "not a key"},
        {"Cookie": "outpost_session=00000000-0000-7000-8000-000000000000.1.x.y"},
    )
    async with httpx.AsyncClient(base_url=running.base_url, timeout=10) as client:
        for headers in forged:
            for path in ("/alerts/alerts", "/intake/balance", "/metrics", "/console/"):
                assert (await client.get(path, headers=headers)).status_code == 401


async def test_a_key_without_the_permission_is_refused_everywhere(running: Runtime) -> None:
    key = await issue_key(running.ground.admin_engine(), "may nothing", Grant(["nothing"], ["*"]))
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=running.base_url, timeout=10, headers=headers) as client:
        for method, path, _ in doors(running.front):
            if path in PROBES or path == SIGN_IN:
                continue
            answer = await client.request(method, path)
            assert answer.status_code == 403, f"{method} {path}: {answer.status_code}"
            assert answer.headers["content-type"].startswith(
                ("application/problem+json", "text/html")
            )


def test_roles_grant_only_permissions_that_some_door_asks_for(running: Runtime) -> None:
    asked = {permission for _, _, permission in doors(running.front)}
    # Names are shown inside a route that needs less.
    asked.add("persons.read_names")
    roles = yaml.safe_load(ROLES_FILE.read_text("utf-8"))
    granted = {permission for role in roles for permission in role["permissions"]}
    assert sorted(granted - asked) == []
