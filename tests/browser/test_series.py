"""The series of an alert in a real, headless Chromium."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.test_console import WAIT_MS, Desk, desk
from tests.service.console.test_series import an_excess_alert
from tests.service.console.upstream import a_day

__all__ = ["desk"]
pytestmark = pytest.mark.browser


async def test_a_card_shows_the_series_with_expected_value_and_limit(desk: Desk) -> None:
    chance = random.Random(1)
    desk.upstream.series = [
        *(a_day(number, chance.randrange(2, 9)) for number in range(-41, 0) if number != -12),
        a_day(-12, 0, abstains="silent", expected=None, limit=None),
        a_day(1, 11),
    ]
    desk.upstream.publish(an_excess_alert())
    await desk.sign_in()
    # The browser tells of the sign-in page's own status.
    desk.complaints.clear()
    figures = desk.page.locator("figure.series")
    await expect(figures).to_have_count(2, timeout=WAIT_MS)
    await expect(figures.first.locator("rect.lit")).to_have_count(1)
    # The silent day is a gap in both lines.
    await expect(figures.first.locator("polyline.limit")).to_have_count(2)
    await expect(figures.first.locator("polyline.expected")).to_have_count(2)
    assert all(request.startswith(desk.url) for request in desk.asked)
    assert desk.complaints == []
    if "SCREENSHOT" in os.environ:
        await desk.page.screenshot(path=Path(os.environ["SCREENSHOT"]), full_page=True)
        await desk.page.goto(f"{desk.url}/console/?language=zh")
        await expect(desk.page.locator("figure.series")).to_have_count(2, timeout=WAIT_MS)
        await desk.page.screenshot(path=Path(os.environ["SCREENSHOT"] + ".zh.png"), full_page=True)
