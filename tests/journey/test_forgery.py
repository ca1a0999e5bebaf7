"""A session that another page borrows, and a key that is revoked."""

from __future__ import annotations

import httpx
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.credentials import NewStaff, add_staff, set_roles
from tests.journey.harness import Outpost

REPLAY = "/intake/messages/replay"


async def sign_in(outpost: Outpost, browser: httpx.AsyncClient) -> None:
    """An operator's browser."""
    engine = create_async_engine(outpost.admin_url, poolclass=NullPool)
    await set_roles(engine)
    await add_staff(engine, NewStaff("operator", "a long password", ["operator"], ["*"]))
    await engine.dispose()
    answer = await browser.post(
        "/console/session",
        content=b"login=operator&password=a+long+password",
        headers={"sec-fetch-site": "same-origin"},
    )
    assert answer.status_code == 303


async def test_a_page_of_another_origin_cannot_write_with_a_session(outpost: Outpost) -> None:
    async with httpx.AsyncClient(base_url=next(outpost.clients["intake"]).base_url) as browser:
        await sign_in(outpost, browser)
        own = str(browser.base_url).rstrip("/")
        told = {
            name: (await browser.post(REPLAY, headers=headers)).status_code
            for name, headers in {
                # Another port of the same host is the same site: the cookie goes along.
                "same site": {"sec-fetch-site": "same-site"},
                "cross site": {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
                "other port": {"origin": "http://127.0.0.1:1"},
                "opaque": {"origin": "null"},
                "broken": {"origin": "http://["},
                "own page": {"sec-fetch-site": "same-origin", "origin": own},
                "no browser": {},
            }.items()
        }
        refused = await browser.post(REPLAY, headers={"sec-fetch-site": "cross-site"})
    assert told == {
        "same site": 403, "cross site": 403, "other port": 403, "opaque": 403, "broken": 403,
        "own page": 200, "no browser": 200,
    }  # fmt: skip
    assert refused.json()["type"] == "urn:outpost:problem:other-origin"


async def test_a_key_is_sent_by_no_browser_and_needs_no_origin(outpost: Outpost) -> None:
    answer = await outpost.ask("POST", REPLAY, headers={"origin": "https://elsewhere.example"})
    assert answer.status_code == 200
