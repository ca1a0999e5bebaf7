"""Signing in and out, and what is refused on the way."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from services.console.app import service
from services.console.domain.throttle import Limits, Throttle
from shared.access import SESSION_COOKIE
from shared.service import Room
from tests.service.console.house import PASSWORD

OFFICER = {"login": "officer", "password": PASSWORD}


async def test_without_a_session_the_page_is_401_with_the_sign_in_form(
    browser: httpx.AsyncClient,
) -> None:
    answer = await browser.get("/console/")
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert '<form method="post" action="/console/session">' in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    # It needs nothing else, for nothing else would be given.
    assert "src=" not in answer.text
    assert "stylesheet" not in answer.text


async def test_every_route_refuses_without_a_credential(
    console: FastAPI, browser: httpx.AsyncClient
) -> None:
    seen = []
    for route in iter_route_contexts(console.routes):
        path = (route.path_format or "").replace(
            "{alert_id}", "0193aaaa-0000-7000-8000-000000000001"
        )
        for method in sorted(route.methods or ()):
            answer = await browser.request(method, path.replace("{name}", "board.css"))
            seen.append((method, path, answer.status_code))
    assert len(seen) >= 12
    assert [one for one in seen if one[2] != 401] == []


async def test_signing_in_gives_a_cookie_that_scripts_and_other_sites_never_see(
    browser: httpx.AsyncClient,
) -> None:
    answer = await browser.post("/console/session", data=OFFICER)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert (await browser.get("/console/")).status_code == 200


async def test_behind_tls_the_cookie_is_secure(
    console: FastAPI, browser: httpx.AsyncClient
) -> None:
    room: Room = console.state.room
    room.settings.session_cookie_secure = True
    answer = await browser.post("/console/session", data=OFFICER)
    assert "Secure" in answer.headers["set-cookie"]


async def test_a_wrong_password_and_an_unknown_login_read_the_same(
    browser: httpx.AsyncClient,
) -> None:
    wrong = await browser.post("/console/session", data={**OFFICER, "password": "guess"})
    unknown = await browser.post("/console/session", data={"login": "nobody", "password": "guess"})
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.text == unknown.text
    assert "do not belong together" in wrong.text
    assert "set-cookie" not in wrong.headers


async def test_guessing_is_slowed_for_the_login_and_lets_others_in(
    console: FastAPI, browser: httpx.AsyncClient
) -> None:
    room: Room = console.state.room
    room.extras["throttle"] = Throttle(Limits(per_login=2))
    for _ in range(2):
        await browser.post("/console/session", data={"login": "worker", "password": "guess"})
    slowed = await browser.post("/console/session", data={"login": "worker", "password": PASSWORD})
    assert slowed.status_code == 429
    assert 0 < int(slowed.headers["retry-after"]) <= 300
    assert (await browser.post("/console/session", data=OFFICER)).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.test", "sec-fetch-site": "cross-site"},
        {"origin": "http://evil.test", "sec-fetch-site": "same-origin"},
        {"origin": "http://console.test", "sec-fetch-site": "same-site"},
        {"origin": "null", "sec-fetch-site": ""},
    ],
)
async def test_another_site_can_neither_sign_in_nor_act_nor_sign_out(
    officer: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    act = "/console/alerts/0193aaaa-0000-7000-8000-000000000001/act"
    answers = [
        await officer.post("/console/session", data=OFFICER, headers=headers),
        await officer.post("/console/session", data={"sign_out": "1"}, headers=headers),
        await officer.delete("/console/session", headers=headers),
        await officer.post(act, data={"act": "acknowledge"}, headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [403] * 4


async def test_signing_out_leaves_no_session(officer: httpx.AsyncClient) -> None:
    answer = await officer.post("/console/session", data={"sign_out": "1"})
    assert answer.status_code == 303
    assert (await officer.get("/console/")).status_code == 401


async def test_who_may_not_see_alerts_is_told_so_and_can_sign_out(
    browser: httpx.AsyncClient,
) -> None:
    await browser.post("/console/session", data={"login": "worker", "password": PASSWORD})
    answer = await browser.get("/console/")
    assert answer.status_code == 403
    assert "Your roles do not include the alert board" in answer.text
    assert 'name="sign_out"' in answer.text


async def test_a_form_larger_than_any_of_ours_is_not_read(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/console/session", data={"login": "x" * 10_000})
    assert answer.status_code == 413


def test_the_wiring_names_every_door() -> None:
    assert len(service.routers) == 6
