"""What a card shows of points that were lit by excess."""

from __future__ import annotations

import httpx

from tests.service.console.upstream import COUNTY, Upstream, a_day, a_high_kind, an_alert

LIT = a_day(0, 23, p_value=0.00012)


def an_excess_alert() -> dict[str, object]:
    return an_alert(
        reasons=[a_high_kind("pharmacy", LIT), a_high_kind("school", a_day(0, 14, p_value=0.004))],
        points=2,
        households=4,
        silent_if=[f"count:school:{COUNTY}:fever:2026-11-22:9"],
        silent_if_text_en="Silent with 9 instead of 14 at school",
        consents=[{"day": "2026-11-22", "p_value": 0.0003, "q_value": 0.02, "limit": 0.05}],
    )


async def test_a_card_tells_what_was_seen_expected_and_allowed(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    alert_id = upstream.publish(an_excess_alert())
    text = " ".join((await officer.get(f"/console/alerts/{alert_id}")).text.split())
    for told in (
        "Shushan (all sites)",
        "23 seen, 5.0 expected, limit 9, p 0.00012",
        "ears_c2 detection@1",
        "different households",
        "All sources together on 2026-11-22: p 0.0003, among all areas 0.02, limit 0.05.",
        "Silent with 9 instead of 14 at school",
        f'hx-get="/console/alerts/{alert_id}/series"',
    ):
        assert told in text, told


async def test_the_series_are_drawn_with_the_days_around(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    alert_id = upstream.publish(an_excess_alert())
    upstream.series = [a_day(-2, 4), a_day(-1, 0, abstains="silent"), a_day(0, 23)]
    text = (await officer.get(f"/console/alerts/{alert_id}/series")).text
    assert text.count("<svg") == 2
    assert text.count('class="lit" x=') == 2
    assert text.count('class="silent" x=') == 2
    assert '<polyline class="limit"' in text
    assert "nobody reported" in text
    chinese = await officer.get(
        f"/console/alerts/{alert_id}/series", headers={"accept-language": "zh"}
    )
    assert "预期值" in chinese.text


async def test_without_the_series_the_days_of_the_alert_are_drawn_and_that_is_said(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    alert_id = upstream.publish(an_excess_alert())
    upstream.away.add("/alerts/series")
    text = (await officer.get(f"/console/alerts/{alert_id}/series")).text
    assert text.count("<svg") == 2
    assert "cannot be read now" in text


async def test_an_alert_of_single_events_asks_for_no_series(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    alert_id = upstream.publish(an_alert())
    assert "figures" not in (await officer.get(f"/console/alerts/{alert_id}")).text
