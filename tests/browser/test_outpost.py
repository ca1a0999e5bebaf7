"""All five services in one process, one browser: reports go in over HTTP, a warning comes up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from services.__main__ import SERVICES
from shared.clock import ManualClock
from shared.credentials import Grant, NewStaff, add_staff, issue_key
from shared.ids import new_id
from shared.runtime import Runtime
from shared.settings import Settings
from tests.service.console.house import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
COUNTY = "cn:340104"
WAIT_MS = 20_000
SCOPES = ["areas.write", "places.write", "sources.write", "reports.write"]
PLACES = {
    "FC-1": ("fever_clinic", "First Hospital"),
    "PH-1": ("pharmacy", "Tonghe Pharmacy"),
    "SC-1": ("school", "Rice Village School"),
}


@pytest_asyncio.fixture
async def outpost(tmp_path: Path) -> AsyncIterator[Runtime]:
    settings = Settings(data_dir=tmp_path / "var", http_port=0)
    runtime = Runtime(SERVICES, settings, clock=ManualClock(NOW))
    await runtime.start()
    yield runtime
    await runtime.stop()


async def _register(runtime: Runtime) -> dict[str, str]:
    """Areas, places and a source; the headers that this source speaks with."""
    engine = runtime.ground.admin_engine()
    await add_staff(engine, NewStaff("officer", PASSWORD, ["duty_officer"], [COUNTY]))
    source_id = new_id()
    key = await issue_key(engine, "town", Grant(SCOPES, ["*"], source_id=source_id))
    headers = {"authorization": f"Bearer {key}"}
    areas = [
        {"area_id": "cn:340100", "level": "prefecture", "name": "合肥市", "name_en": "Hefei"},
        {
            "area_id": COUNTY,
            "level": "county",
            "name": "蜀山区",
            "name_en": "Shushan",
            "parent_id": "cn:340100",
        },
    ]
    places = [
        {"code": code, "kind": kind, "area_id": COUNTY, "name_zh": name, "name_en": name}
        for code, (kind, name) in PLACES.items()
    ]
    source = {
        "source_id": str(source_id),
        "name": "town-gateway",
        "kind": "fever_clinic",
        "place_code": "FC-1",
    }
    for door, body in (("areas", areas), ("places", places), ("sources", source)):
        await _post(runtime, door, body, headers)
    return headers


async def _post(runtime: Runtime, door: str, body: Any, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=runtime.base_url, headers=headers) as client:
        answer = await client.post(f"/intake/{door}", json=body)
    assert answer.is_success, answer.text


async def test_three_points_in_one_county_come_up_on_the_open_page(
    outpost: Runtime, chromium: Browser
) -> None:
    headers = await _register(outpost)
    context = await chromium.new_context(locale="en-GB", timezone_id="Asia/Shanghai")
    page = await context.new_page()
    await page.goto(f"{outpost.base_url}/")
    await page.fill("#login", "officer")
    await page.fill("#password", PASSWORD)
    await page.click("button[type=submit]")
    await page.wait_for_selector("#stream[data-state=live]", timeout=WAIT_MS)
    await expect(page.get_by_text("No alert in your areas.")).to_be_visible()

    reports = [
        {
            "external_id": f"report-{number}",
            "occurred_at": f"2026-11-22T0{number + 2}:00:00Z",
            "kind": kind,
            "place": {"code": code},
            "person_count": 2,
            "fever": True,
        }
        for number, (code, (kind, _)) in enumerate(PLACES.items())
    ]
    await _post(outpost, "reports", reports, headers)

    card = page.locator("#alerts article")
    await expect(card).to_have_count(1, timeout=WAIT_MS)
    await expect(card.locator("tbody tr")).to_have_count(3)
    for told in ("Shushan", "Tonghe Pharmacy", "11-22 11:00", "multi_point@1"):
        await expect(card.get_by_text(told).first).to_be_visible()
    await expect(page.locator("#balance")).to_contain_text("Everything adds up", timeout=WAIT_MS)
    await expect(page.locator("#balance")).to_contain_text("town-gateway")
    await expect(page.locator("#signals")).to_contain_text("Shushan")
    await card.get_by_role("button", name="Acknowledge").click()
    await expect(card.locator(".state")).to_have_text("Acknowledged")
    await context.close()
