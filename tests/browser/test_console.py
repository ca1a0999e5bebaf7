"""The live page in a real, headless Chromium, in front of owners in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Request, expect
from sqlalchemy import URL

from services.console.repository.owners import Owners
from shared.settings import Settings
from tests.eventually import eventually
from tests.service.console.house import PASSWORD, all_at, build_console, prepare, served
from tests.service.console.upstream import (
    Upstream,
    a_case,
    a_meeting,
    an_alert,
    an_exposure,
)

pytestmark = pytest.mark.browser
WAIT_MS = 15_000
STREAM = "#stream[data-state=live]"


@dataclass
class Desk:
    """A page that is open at the console, everything it asked for, and what it complained about."""

    url: str
    page: Page
    upstream: Upstream
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def sign_in(self) -> None:
        await self.page.goto(f"{self.url}/console/")
        await self.page.fill("#login", "officer")
        await self.page.fill("#password", PASSWORD)
        await self.page.click("button[type=submit]")
        await self.page.wait_for_selector(STREAM, timeout=WAIT_MS)


@pytest_asyncio.fixture
async def desk(chromium: Browser, fresh_database: URL) -> AsyncIterator[Desk]:
    engine = await prepare(fresh_database)
    upstream = Upstream()
    async with served(upstream.app) as owner_url:
        owners = Owners(all_at(owner_url))
        async with served(build_console(engine, owners, Settings())) as url:
            context = await chromium.new_context(locale="en-GB", reduced_motion="reduce")
            desk = Desk(url, await context.new_page(), upstream)

            def note(request: Request) -> None:
                desk.asked.append(request.url)

            context.on("request", note)
            desk.page.on("pageerror", lambda error: desk.complaints.append(str(error)))
            desk.page.on("console", lambda message: desk.complaints.append(message.text))
            yield desk
            await context.close()
        await owners.close()
    await engine.dispose()


async def test_an_alert_appears_with_its_reasons_while_the_page_stays_as_it_is(desk: Desk) -> None:
    await desk.sign_in()
    page = desk.page
    await expect(page.get_by_text("No alert in your areas.")).to_be_visible()
    await page.evaluate("window.sameDocument = true")
    alert_id = desk.upstream.publish(an_alert())
    card = page.locator(f"#alert-{alert_id}")
    await expect(card).to_be_visible(timeout=WAIT_MS)
    for told in ("Several points light up together", "Shushan", "Yellow", "Fever clinic"):
        await expect(card.get_by_text(told).first).to_be_visible()
    await expect(card.locator("tbody tr")).to_have_count(3)
    await expect(page.locator("#announcer")).to_contain_text("Yellow alert, Open")
    await expect(page.locator(".tile.level-yellow .number")).to_have_text("1")
    await expect(page.get_by_text("No alert in your areas.")).to_be_hidden()
    assert await page.evaluate("window.sameDocument") is True


async def test_newer_alerts_stand_above_older_ones_whenever_they_arrive(desk: Desk) -> None:
    await desk.sign_in()
    early, late = an_alert(), an_alert()
    for alert in (late, early):
        desk.upstream.publish(alert)
        await desk.page.wait_for_selector(f"#alert-{alert['id']}", timeout=WAIT_MS)
    ids = await desk.page.eval_on_selector_all(
        "#alerts article", "cards => cards.map(card => card.dataset.id)"
    )
    assert ids == [late["id"], early["id"]]


async def test_acting_changes_the_card_and_a_withdrawal_stays_visible(desk: Desk) -> None:
    alert_id = desk.upstream.publish(an_alert())
    await desk.sign_in()
    card = desk.page.locator(f"#alert-{alert_id}")
    await card.get_by_role("button", name="Acknowledge").click()
    await expect(card.locator(".state")).to_have_text("Acknowledged")
    assert desk.upstream.acts == [("acknowledge", "acknowledge, at the console")]
    desk.upstream.change(
        alert_id, state="withdrawn", reason="evidence fell: rule multi_point@1 no longer holds"
    )
    await expect(card.locator(".state")).to_have_text("Withdrawn", timeout=WAIT_MS)
    await expect(card.locator(".withdrawn")).to_contain_text("Its evidence no longer holds.")
    await expect(card.get_by_role("button")).to_have_count(0)


async def test_what_a_person_is_typing_survives_news_about_the_alert(desk: Desk) -> None:
    alert_id = desk.upstream.publish(an_alert())
    await desk.sign_in()
    card = desk.page.locator(f"#alert-{alert_id}")
    await card.get_by_text("Close or dismiss").click()
    await card.locator("input[name=reason]").fill("school trip, thermometers")
    desk.upstream.change(alert_id, points=4)
    await expect(card.locator(".numbers li").first).to_contain_text("4", timeout=WAIT_MS)
    await expect(card.locator("input[name=reason]")).to_have_value("school trip, thermometers")
    await expect(card.locator("input[name=reason]")).to_be_focused()
    await card.get_by_role("button", name="Dismiss").click()
    await expect(card.locator(".state")).to_have_text("Dismissed")
    assert desk.upstream.acts == [("dismiss", "school trip, thermometers")]


async def test_the_language_changes_and_stays(desk: Desk) -> None:
    alert_id = desk.upstream.publish(an_alert())
    await desk.sign_in()
    await desk.page.get_by_role("link", name="中文").click()
    await expect(desk.page.locator("html")).to_have_attribute("lang", "zh-CN")
    await desk.page.reload()
    card = desk.page.locator(f"#alert-{alert_id}")
    await expect(card.get_by_role("heading", name="多点触发预警")).to_be_visible()
    await expect(card.get_by_text("蜀山区").first).to_be_visible()


async def test_a_lost_stream_is_said_loudly_and_goes_on_where_it_was(desk: Desk) -> None:
    await desk.sign_in()
    first = desk.upstream.publish(an_alert())
    await desk.page.wait_for_selector(f"#alert-{first}", timeout=WAIT_MS)
    desk.upstream.away = {"/alerts/stream"}
    desk.upstream.cut_streams()
    await expect(desk.page.get_by_text("Connection lost.")).to_be_visible(timeout=WAIT_MS)
    missed = desk.upstream.publish(an_alert())
    desk.upstream.away = set()
    await expect(desk.page.locator(f"#alert-{missed}")).to_be_visible(timeout=WAIT_MS)
    await expect(desk.page.get_by_text("Connection lost.")).to_be_hidden()
    resumed = [
        headers.get("last-event-id")
        for _, path, headers in desk.upstream.told
        if path == "/alerts/stream"
    ]
    assert resumed[0] == "-1"
    assert resumed[-1] == "0"


async def test_nothing_is_asked_of_another_origin_and_nothing_breaks_the_policy(desk: Desk) -> None:
    desk.upstream.publish(an_alert(title_en="<img src=http://elsewhere.test/x.png>"))
    await desk.sign_in()
    await expect(desk.page.locator("#alerts article")).to_have_count(1)
    seen = len(desk.upstream.paths())

    async def parts_were_refreshed() -> bool:
        return "/readyz" in desk.upstream.paths()[seen:]

    await eventually(parts_were_refreshed)
    assert {urlsplit(url).netloc for url in desk.asked} == {urlsplit(desk.url).netloc}
    # The sign-in page is a 401 on purpose, and Chromium says so; nothing else may be said.
    assert [text for text in desk.complaints if "401 (Unauthorized)" not in text] == []


async def test_a_session_that_ended_leads_to_sign_in(desk: Desk) -> None:
    await desk.sign_in()
    await desk.page.context.clear_cookies()
    await expect(desk.page.locator("#password")).to_be_visible(timeout=WAIT_MS)


async def test_a_case_is_found_from_the_board_and_asked_what_if(desk: Desk) -> None:
    near, school = a_meeting("encounter", None, 15), a_meeting("visit", "school", 45)
    desk.upstream.judge(
        a_case(),
        close_contact=[an_exposure(1, school), an_exposure(2, near)],
        contact_of_contact=[an_exposure(3, near)],
    )
    await desk.sign_in()
    page = desk.page
    await page.get_by_role("link", name="Cases").click()
    await page.get_by_role("link", name="…aaaa0001").click()
    await expect(page.get_by_text("counted from onset, 2026-11-21")).to_be_visible()
    await expect(page.locator(".rings circle.close")).to_have_count(2, timeout=WAIT_MS)
    await expect(page.locator(".chips").get_by_text("School 45 min")).to_be_visible()
    await page.get_by_text("Evidence (1)").first.click()
    await expect(page.locator(".records li").first).to_be_visible()

    await page.locator(".tabs").get_by_role("link", name="Contacts of contacts").click()
    await expect(page.locator(".exposures tbody tr")).to_have_count(1)
    await page.get_by_text("What if …").click()
    await page.get_by_label("From").fill("2026-11-20T08:00")
    await page.get_by_role("button", name="Ask").click()
    await expect(page.locator(".asked")).to_contain_text("2026-11-20 08:00 – 2026-12-02 00:00")
    assert desk.upstream.questions[-1]["from_at"] == "2026-11-20T00:00:00+00:00"
    assert desk.upstream.questions[-1]["degree"] == "contact_of_contact"

    await page.get_by_label("From").fill("2026-12-20T08:00")
    await page.get_by_role("button", name="Ask").click()
    await expect(page.get_by_role("alert")).to_contain_text("From must be before until.")
    # Chromium tells of every page that is answered with a refusal; nothing else may be said.
    assert [text for text in desk.complaints if "Failed to load resource" not in text] == []


async def test_a_case_fits_on_a_telephone(desk: Desk) -> None:
    near = a_meeting("encounter", None, 15)
    case_id = desk.upstream.judge(
        a_case(), close_contact=[an_exposure(number, near) for number in range(30)]
    )
    await desk.sign_in()
    await desk.page.set_viewport_size({"width": 400, "height": 860})
    for path in ("cases", f"cases/{case_id}", f"cases/{case_id}?from_at=never"):
        await desk.page.goto(f"{desk.url}/console/{path}")
        await desk.page.wait_for_load_state("networkidle")
        assert await desk.page.evaluate("document.documentElement.scrollWidth") == 400
