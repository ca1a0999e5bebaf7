"""What the page says, from what the owners tell."""

from __future__ import annotations

import httpx
from fastapi import FastAPI

from services.console.domain.alerts import CARDS_MOST
from shared.access import SESSION_COOKIE
from tests.service.console.house import PASSWORD
from tests.service.console.upstream import COUNTY, Upstream, a_line, an_alert

CLINIC = {
    "place_id": "0193aaaa-0000-7000-8000-00000000c001",
    "code": "HF-FC-1",
    "name_zh": "市一院发热门诊",
    "name_en": "First Hospital fever clinic",
}


async def test_a_card_tells_what_where_since_when_and_why(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    upstream.places = [CLINIC]
    upstream.publish(an_alert())
    text = (await officer.get("/console/")).text
    for told in (
        "Several points light up together",
        "Shushan",
        "2026-11-22 09:30",  # the county's own time
        "UTC+8",
        "Ⅲ Yellow",
        "Fever clinic",
        "First Hospital fever clinic",
        "HF-FC-1",
        "11-22 09:30 – 10:17",
        "multi_point@1",
        "1 of its 3 points missing:",
        'value="acknowledge"',
    ):
        assert told in text, told


async def test_the_page_speaks_chinese_when_asked_and_remembers(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    upstream.publish(an_alert())
    chosen = await officer.get("/console/?language=zh")
    assert chosen.status_code == 303
    text = (await officer.get("/console/")).text
    assert '<html lang="zh-CN">' in text
    assert "多点触发预警" in text
    assert "蜀山区" in text
    assert "3 个监测点中缺少以下 1 个" in text
    assert "Several points" not in text


async def test_the_owners_are_asked_with_the_viewers_own_session_and_nothing_else(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    officer.cookies.set("something_else", "private")
    await officer.get("/console/")
    sent = {path: headers for _, path, headers in upstream.told}
    own = f"{SESSION_COOKIE}={officer.cookies[SESSION_COOKIE]}"
    for path in ("/alerts/alerts", "/alerts/signals/summary", "/intake/balance"):
        assert sent[path]["cookie"] == own
    assert "cookie" not in sent["/readyz"]


async def test_an_owner_that_is_away_is_a_part_that_says_so(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    upstream.publish(an_alert())
    upstream.away = {"/intake"}
    answer = await officer.get("/console/")
    assert answer.status_code == 200
    assert "Intake does not answer" in answer.text
    assert "Several points light up together" in answer.text
    upstream.away = {"/alerts", "/readyz"}
    answer = await officer.get("/console/")
    assert answer.status_code == 200
    assert "Alerts does not answer" in answer.text
    assert "fever-clinic-1" in answer.text
    assert answer.text.count('data-state="away"') == 4


async def test_a_process_that_is_not_ready_says_what_it_lacks(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    upstream.missing = ["alerts.copies: has not read yet"]
    text = (await officer.get("/console/parts/health")).text
    assert "alerts.copies: has not read yet" in text
    assert text.count('data-state="unready"') == 1
    assert text.count('data-state="ready"') == 3


async def test_counters_that_do_not_add_up_are_marked_and_come_first(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    upstream.lines = [a_line(), a_line(source_name="scans", day="2026-11-01", received=5)]
    text = (await officer.get("/console/parts/balance")).text
    assert "Counters do not add up" in text
    assert text.count('class="wrong"') == 1
    upstream.lines = [a_line()]
    text = (await officer.get("/console/parts/balance")).text
    assert "Everything adds up" in text
    assert 'class="wrong"' not in text


async def test_signals_stand_under_their_area(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    upstream.counts = [
        {"area_id": COUNTY, "point_kind": "pharmacy", "signals": 3, "points": 2, "persons": 0},
        {"area_id": COUNTY, "point_kind": "school", "signals": 1, "points": 1, "persons": 0},
        {"area_id": "cn:unheard", "point_kind": "brand_new", "signals": 1, "points": 1},
    ]
    text = (await officer.get("/console/parts/signals")).text
    assert "Pharmacy 3, School 1" in text
    assert "Shushan" in text
    # What nobody has named yet is shown by its code.
    assert "cn:unheard" in text
    assert "brand_new 1" in text


async def test_a_withdrawn_alert_stays_with_its_reason_and_without_buttons(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    upstream.publish(
        an_alert(state="withdrawn", reason="evidence fell: rule multi_point@1 no longer holds")
    )
    text = (await officer.get("/console/")).text
    assert "state-withdrawn" in text
    assert "Its evidence no longer holds." in text
    assert "rule multi_point@1 no longer holds" in text
    assert 'name="act"' not in text


async def test_a_drill_is_shown_as_one_and_counted_apart(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    upstream.publish(an_alert(exercise=True))
    text = (await officer.get("/console/")).text
    assert "EXERCISE" in text
    assert 'class="tile level-yellow zero"' in text


async def test_text_from_outside_is_text(officer: httpx.AsyncClient, upstream: Upstream) -> None:
    upstream.publish(an_alert(title_en="<script>alert(1)</script>"))
    answer = await officer.get("/console/")
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")


async def test_the_newest_200_stand_on_the_page(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    for _ in range(CARDS_MOST + 5):
        upstream.publish(an_alert(reasons=[]))
    text = (await officer.get("/console/")).text
    assert text.count("<article") == CARDS_MOST
    newest, oldest = max(upstream.alerts), min(upstream.alerts)
    assert f"alert-{newest}" in text
    assert f"alert-{oldest}" not in text


async def test_an_act_is_done_by_the_owner_and_answers_the_new_card(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    alert_id = upstream.publish(an_alert())
    answer = await officer.post(
        f"/console/alerts/{alert_id}/act",
        data={"act": "acknowledge"},
        headers={"hx-request": "true"},
    )
    assert answer.status_code == 200
    assert "state-acknowledged" in answer.text
    assert upstream.acts == [("acknowledge", "acknowledge, at the console")]
    without_script = await officer.post(
        f"/console/alerts/{alert_id}/act",
        data={"act": "dismiss", "reason": "a drill of the school"},
    )
    assert without_script.status_code == 303
    assert upstream.acts[1] == ("dismiss", "a drill of the school")


async def test_an_end_without_a_reason_changes_nothing(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    alert_id = upstream.publish(an_alert())
    answer = await officer.post(
        f"/console/alerts/{alert_id}/act", data={"act": "close", "reason": "  "}
    )
    assert "need a reason" in answer.text
    assert upstream.acts == []


async def test_an_act_that_comes_too_late_shows_how_it_stands(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    alert_id = upstream.publish(an_alert(state="verifying"))
    upstream.refuse_acts = 409
    answer = await officer.post(f"/console/alerts/{alert_id}/act", data={"act": "verify"})
    assert "Somebody else was faster" in answer.text
    assert "Being verified" in answer.text


async def test_an_alert_of_other_areas_does_not_exist(officer: httpx.AsyncClient) -> None:
    answer = await officer.get("/console/alerts/0193aaaa-0000-7000-8000-000000000009")
    assert answer.status_code == 404


async def test_an_open_page_whose_session_ended_is_sent_to_sign_in(
    browser: httpx.AsyncClient,
) -> None:
    answer = await browser.get("/console/parts/tally", headers={"hx-request": "true"})
    assert answer.status_code == 401
    assert answer.headers["hx-refresh"] == "true"


async def test_files_may_be_kept_as_long_as_their_address_holds(
    officer: httpx.AsyncClient, console: FastAPI
) -> None:
    text = (await officer.get("/console/")).text
    address = text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
    answer = await officer.get(address)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert (await officer.get("/console/static/../app.py")).status_code == 404
    assert (await officer.get("/console/static/%2e%2e/render.py")).status_code == 404


async def test_the_sign_in_page_has_both_languages(browser: httpx.AsyncClient) -> None:
    chinese = await browser.get("/console/?language=zh")
    assert chinese.status_code == 401
    assert "账号" in chinese.text
    assert "账号" in (await browser.get("/console/")).text
    assert PASSWORD not in chinese.text
