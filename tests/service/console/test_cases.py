"""The pages of cases: the list, both degrees with reasons, the "what if", and what goes wrong."""

from __future__ import annotations

import re

import httpx
import pytest

from services.console.domain.cases import CASES_MOST, ROWS_MOST
from shared.access import SESSION_COOKIE
from tests.service.console.house import PASSWORD
from tests.service.console.upstream import Upstream, a_case, a_meeting, an_exposure

SCHOOL = "0193aaaa-0000-7000-8000-00000000c003"
VISIT = a_meeting("visit", "school", 45, place_id=SCHOOL)
TOGETHER = a_meeting("membership", "household", 18_720)
NEAR = a_meeting("encounter", None, 15.4)
HTML = "text/html; charset=utf-8"


@pytest.fixture
def case_id(upstream: Upstream) -> str:
    """A case with two close contacts and one contact of a contact."""
    return upstream.judge(
        a_case(),
        close_contact=[an_exposure(1, VISIT, NEAR), an_exposure(2, TOGETHER)],
        contact_of_contact=[
            an_exposure(3, NEAR, via_person_id="0193cccc-0000-7000-8000-0000bbbb0001")
        ],
    )


def plain(text: str) -> str:
    """A page without its tags, in one line."""
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
    return re.sub(r" ([:,.])", r"\1", text)


async def test_a_case_tells_its_window_what_it_was_counted_from_and_why_it_stands(
    officer: httpx.AsyncClient, case_id: str
) -> None:
    text = plain((await officer.get(f"/console/cases/{case_id}")).text)
    for told in (
        "COVID-19",
        "Confirmed",
        "positive laboratory result",
        "Shushan UTC+8",
        "2026-11-19 00:00 – 2026-12-02 00:00",  # the county's own days
        "counted from onset, 2026-11-21",
        "tracing-windows-covid19@1",
        "2 Close contacts · 1 Contacts of contacts",
    ):
        assert told in text, told


async def test_close_contacts_have_reasons_as_chips_and_evidence_below(
    officer: httpx.AsyncClient, upstream: Upstream, case_id: str
) -> None:
    upstream.places = [{"place_id": SCHOOL, "code": "SC-1", "name_en": "Rice Village School"}]
    text = plain((await officer.get(f"/console/cases/{case_id}")).text)
    for told in (
        "Close contacts 2",
        "Contacts of contacts 1",
        "Answered by the city in memory",
        "…bbbb0001 11-22 09:30 – 10:15 60 School 45 min Encounter 15 min Evidence (2)",
        "Visit School Rice Village School SC-1 11-22 09:30 – 10:15",
        "18,720 Household Evidence (1)",
    ):
        assert told in text, told
    assert "Household 18,720" not in text


async def test_the_second_degree_tells_via_whom(
    officer: httpx.AsyncClient, upstream: Upstream, case_id: str
) -> None:
    text = plain((await officer.get(f"/console/cases/{case_id}?degree=contact_of_contact")).text)
    assert "…bbbb0003 …bbbb0001 11-22 09:30" in text
    assert "Close contacts 2" in text
    # The answer of the second degree counts the first: one question is enough.
    assert [asked["degree"] for asked in upstream.questions] == ["contact_of_contact"]


async def test_the_page_speaks_chinese_and_stays_on_its_question(
    officer: httpx.AsyncClient, case_id: str
) -> None:
    turned = await officer.get(f"/console/cases/{case_id}?degree=contact_of_contact&language=zh")
    assert turned.status_code == 303
    assert turned.headers["location"] == f"/console/cases/{case_id}?degree=contact_of_contact"
    text = plain((await officer.get(turned.headers["location"])).text)
    for told in ("次密接 1", "确诊", "实验室阳性结果", "自发病日起算", "蜀山区", "经由"):
        assert told in text, told
    assert "Contacts of contacts" not in text


async def test_tracing_is_asked_with_the_viewers_own_session(
    officer: httpx.AsyncClient, upstream: Upstream, case_id: str
) -> None:
    await officer.get(f"/console/cases/{case_id}")
    own = f"{SESSION_COOKIE}={officer.cookies[SESSION_COOKIE]}"
    asked = [headers["cookie"] for _, path, headers in upstream.told if "/tracing/" in path]
    assert asked == [own] * 3


async def test_a_what_if_is_asked_in_the_time_of_the_area(
    officer: httpx.AsyncClient, upstream: Upstream, case_id: str
) -> None:
    answer = await officer.get(
        f"/console/cases/{case_id}",
        params={"from_at": "2026-11-20T08:00", "rules": "other@2", "known_at": "2026-11-22T12:00"},
    )
    assert answer.status_code == 200
    assert upstream.questions[0] | {"degree": "", "page_size": ""} == {
        "degree": "",
        "page": "1",
        "page_size": "",
        "from_at": "2026-11-20T00:00:00+00:00",
        # Both ends go together, so that the owner sees a window and can judge it.
        "until_at": "2026-12-01T16:00:00+00:00",
        "rules": "other@2",
        "known_at": "2026-11-22T04:00:00+00:00",
    }
    text = plain(answer.text)
    assert "What if: 2026-11-20 08:00 – 2026-12-02 00:00, other@2, known at 2026-11-22" in text
    assert "Decided for the case: 2 and 1." in text
    assert "Answered by SQL" in text
    assert 'value="2026-11-20T08:00"' in answer.text


async def test_what_equals_the_cases_own_is_no_what_if(
    officer: httpx.AsyncClient, upstream: Upstream, case_id: str
) -> None:
    await officer.get(
        f"/console/cases/{case_id}",
        params={
            "from_at": "2026-11-19T00:00",
            "until_at": "2026-12-02T00:00",
            "rules": "tracing-windows-covid19@1",
            "known_at": "",
        },
    )
    assert set(upstream.questions[0]) == {"degree", "page", "page_size"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"from_at": "yesterday"}, "This is not a date and time. From"),
        ({"known_at": "0001-01-01T00:00"}, "This is not a date and time. As known at"),
        ({"from_at": "2026-12-03T00:00"}, "From must be before until."),
        ({"degree": "third"}, "The question cannot be read. Degree"),
        ({"page": "0"}, "The question cannot be read. Page"),
        ({"rules": "x" * 201}, "The question cannot be read. Rule set"),
    ],
)
async def test_a_wrong_question_is_told_beside_the_case(
    officer: httpx.AsyncClient, upstream: Upstream, case_id: str, asked: dict[str, str], told: str
) -> None:
    answer = await officer.get(f"/console/cases/{case_id}", params=asked)
    assert (answer.status_code, answer.headers["content-type"]) == (422, HTML)
    assert told in plain(answer.text)
    assert "COVID-19" in answer.text
    assert upstream.questions == []
    picture = await officer.get(f"/console/cases/{case_id}/picture", params=asked)
    assert picture.status_code == 200


async def test_what_tracing_finds_wrong_is_told_in_its_words(
    officer: httpx.AsyncClient, upstream: Upstream, case_id: str
) -> None:
    upstream.wrong = {
        "type": "urn:outpost:problem:rule-set-not-found",
        "status": 404,
        "detail": "no rule set <b>@1",
        "advice": "name one as id@version",
    }
    answer = await officer.get(f"/console/cases/{case_id}?rules=<b>@1")
    assert answer.status_code == 404
    assert "There is no such rule set." in answer.text
    assert "no rule set &lt;b&gt;@1; name one as id@version" in answer.text
    assert "<b>@1" not in answer.text
    upstream.wrong = {
        "type": "urn:outpost:problem:unheard-of",
        "title": "Something new",
        "status": 422,
        "detail": "1 field(s) are wrong",
        "problems": [{"field": "query", "text": "Value error, too long ago"}],
    }
    text = plain((await officer.get(f"/console/cases/{case_id}")).text)
    assert "Something new 1 field(s) are wrong The question: too long ago" in text


async def test_a_fallen_case_says_why_and_by_whom(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    act = {
        "action": "discard",
        "author": "staff:zhang",
        "reason": "specimen mix-up",
        "at": "2026-11-23T01:00:00Z",
    }
    fallen = a_case(
        standing=False,
        classification="discarded",
        reason="discarded by staff:zhang",
        acts=[act],
        window=None,
    )
    case_id = upstream.judge(fallen)
    upstream.wrong = {"type": "urn:outpost:problem:no-window", "status": 409, "detail": "none"}
    text = plain((await officer.get(f"/console/cases/{case_id}")).text)
    assert "Why it fell Discarded, staff:zhang, 2026-11-23 09:00: specimen mix-up" in text
    assert "None: nothing says when it was infectious." in text
    assert "The case has no infectious window." in text
    upstream.wrong = {}
    asked = {"from_at": "2026-11-20T00:00", "until_at": "2026-11-21T00:00"}
    text = plain((await officer.get(f"/console/cases/{case_id}", params=asked)).text)
    assert "The case no longer stands." in text
    assert "Nobody was exposed" in text


@pytest.mark.parametrize("case_id", ["0193aaaa-0000-7000-8000-000000000009", "no-id"])
async def test_a_case_of_other_areas_does_not_exist_and_a_page_says_so(
    officer: httpx.AsyncClient, upstream: Upstream, case_id: str
) -> None:
    answer = await officer.get(f"/console/cases/{case_id}")
    assert answer.status_code == 404
    assert "There is no such case in your areas." in answer.text


async def test_tracing_away_is_a_page_that_says_so(
    officer: httpx.AsyncClient, upstream: Upstream, case_id: str
) -> None:
    upstream.away = {f"/tracing/cases/{case_id}/exposures"}
    answer = await officer.get(f"/console/cases/{case_id}")
    assert answer.status_code == 200
    assert "Tracing does not answer" in answer.text
    assert "counted from onset" in answer.text
    assert (
        "Tracing does not answer" in (await officer.get(f"/console/cases/{case_id}/picture")).text
    )
    upstream.away = {"/tracing"}
    answer = await officer.get(f"/console/cases/{case_id}")
    assert (answer.status_code, answer.headers["content-type"]) == (503, HTML)
    assert "Tracing does not answer" in answer.text
    assert "Tracing does not answer" in (await officer.get("/console/cases")).text


async def test_the_picture_has_a_dot_for_each_close_contact_and_a_bar_for_the_second_degree(
    officer: httpx.AsyncClient, case_id: str
) -> None:
    text = (await officer.get(f"/console/cases/{case_id}/picture")).text
    assert text.count('class="close" cx=') == 2
    assert text.count('class="second" d=') == 1
    assert "2026-11-22: 2 close contacts, 1 contacts of contacts" in text
    assert "are drawn" not in text


async def test_rows_are_paged_within_the_same_question(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    rows = [an_exposure(number, VISIT) for number in range(ROWS_MOST + 3)]
    case_id = upstream.judge(a_case(), close_contact=rows)
    first = (await officer.get(f"/console/cases/{case_id}?rules=other@2")).text
    assert first.count('scope="row"') == ROWS_MOST
    assert "?degree=close_contact&amp;page=2&amp;rules=other%402#answer" in first
    last = (await officer.get(f"/console/cases/{case_id}?page=2")).text
    assert last.count('scope="row"') == 3
    beyond = plain((await officer.get(f"/console/cases/{case_id}?page=9")).text)
    assert "This page is beyond the last one. First page" in beyond


async def test_the_list_has_the_cases_as_tracing_orders_them(
    officer: httpx.AsyncClient, upstream: Upstream
) -> None:
    ids = [upstream.judge(a_case(disease="mers")) for _ in range(CASES_MOST + 1)]
    fallen = upstream.judge(a_case(standing=False, area_id=None, window=None))
    answer = await officer.get("/console/cases")
    assert re.findall(r'href="/console/cases/([0-9a-f-]{36})"', answer.text) == ids[:CASES_MOST]
    assert f"{CASES_MOST + 2} in your areas" in answer.text
    last = (await officer.get("/console/cases?page=2")).text
    assert fallen in last
    assert "Confirmed (Fallen) area not known 2026-11-21 –" in plain(last)
    assert "beyond the last" in (await officer.get("/console/cases?page=7")).text
    wrong = await officer.get("/console/cases?page=none")
    assert wrong.status_code == 422
    assert "The question cannot be read." in wrong.text


async def test_the_board_leads_to_the_cases(officer: httpx.AsyncClient) -> None:
    assert 'href="/console/cases"' in (await officer.get("/console/")).text
    assert "No case in your areas." in (await officer.get("/console/cases")).text


async def test_who_may_not_see_cases_is_told_so(browser: httpx.AsyncClient, case_id: str) -> None:
    assert (await browser.get(f"/console/cases/{case_id}")).status_code == 401
    await browser.post("/console/session", data={"login": "worker", "password": PASSWORD})
    for path in ("/console/cases", f"/console/cases/{case_id}"):
        answer = await browser.get(path)
        assert answer.status_code == 403
        assert "Your roles do not include cases" in answer.text
