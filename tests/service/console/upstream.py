"""The owners behind the console, as small as a page needs them: alerts, intake and tracing in
memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from shared.access import SESSION_COOKIE
from shared.ids import new_id

START = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
COUNTY = "cn:340104"
STATES = {
    "acknowledge": "acknowledged",
    "verify": "verifying",
    "close": "closed",
    "dismiss": "dismissed",
}


def a_reason(kind: str, place_id: str, *, signals: int = 1, persons: int = 1) -> dict[str, Any]:
    return {
        "point_kind": kind,
        "point_id": place_id,
        "place_id": place_id,
        "area_id": COUNTY,
        "signal_count": signals,
        "person_count": persons,
        "first_at": START.isoformat(),
        "last_at": (START + timedelta(minutes=47)).isoformat(),
        "signal_ids": [],
    }


def a_day(number: int, observed: int, **changes: Any) -> dict[str, Any]:
    """A day of a series: five expected, nine the limit."""
    return {
        "day": (START.date() + timedelta(days=number)).isoformat(),
        "observed": observed,
        "expected": 5.0,
        "limit": 9.0,
        "p_value": 0.5,
        "method": "ears_c2 detection@1",
        "abstains": "none",
        "sites": 3,
    } | changes


def a_high_kind(kind: str, *days: dict[str, Any]) -> dict[str, Any]:
    """A point lit by excess on these days."""
    told = [{**one, "area_id": COUNTY, "syndrome": "fever"} for one in days]
    return {**a_reason(kind, COUNTY), "place_id": None, "lit_by": "excess", "days": told}


def an_alert(**changes: Any) -> dict[str, Any]:
    """Three points of three kinds in one county, unless told otherwise."""
    return {
        "id": str(new_id()),
        "record_version": 1,
        "rule_id": "multi_point",
        "rule_version": 1,
        "title_zh": "多点触发预警",
        "title_en": "Several points light up together",
        "area_id": COUNTY,
        "area_name": "蜀山区",
        "area_name_en": "Shushan",
        "level": "yellow",
        "state": "open",
        "first_at": START.isoformat(),
        "last_at": (START + timedelta(minutes=47)).isoformat(),
        "points": 3,
        "persons": 2,
        "unlinked_persons": 4,
        "reasons": [
            a_reason("fever_clinic", "0193aaaa-0000-7000-8000-00000000c001", signals=2, persons=2),
            a_reason("pharmacy", "0193aaaa-0000-7000-8000-00000000c002", persons=3),
            a_reason("school", "0193aaaa-0000-7000-8000-00000000c003"),
        ],
        "silent_if": ["point:school:0193aaaa-0000-7000-8000-00000000c003"],
        "silent_if_text_zh": "3个监测点中少了以下1个即不会预警：学校0193aaaa",
        "silent_if_text_en": "Silent without 1 point of 3: school 0193aaaa",
        "reason": "opened by rule multi_point@1: 3 points, 2 persons and 4 unnamed",
        "opened_at": START.isoformat(),
        "changed_at": START.isoformat(),
    } | changes


def a_line(**changes: Any) -> dict[str, Any]:
    """A source's day that adds up."""
    return {
        "source_id": "0193bbbb-0000-7000-8000-000000000001",
        "source_name": "fever-clinic-1",
        "day": "2026-11-22",
        "door": "hl7v2",
        "received": 23,
        "stored": 19,
        "duplicate": 0,
        "rejected": 4,
        "stored_rows": 19,
        "rejected_rows": 4,
        "balanced": True,
    } | changes


def a_case(**changes: Any) -> dict[str, Any]:
    """Confirmed and standing, in the county."""
    return {
        "id": str(new_id()),
        "version": 1,
        "person_id": "0193cccc-0000-7000-8000-0000aaaa0001",
        "disease": "covid19",
        "classification": "confirmed",
        "standing": True,
        "onset_date": "2026-11-21",
        "occurred_at": START.isoformat(),
        "window": {
            "from_at": "2026-11-18T16:00:00Z",
            "until_at": "2026-12-01T16:00:00Z",
            "basis": "onset",
            "day": "2026-11-21",
        },
        "area_id": COUNTY,
        "reason": "positive laboratory result",
        "policy": "tracing-windows-covid19@1",
        "exercise": False,
        "evidence": [{"kind": "result", "id": str(new_id()), "version": 1}],
        "acts": [],
        "contacts": {"close_contact": 2, "contact_of_contact": 1},
    } | changes


def a_meeting(code: str, kind: str | None, minutes: float, **changes: Any) -> dict[str, Any]:
    return {
        "code": code,
        "place_id": None,
        "place_kind": kind,
        "minutes": minutes,
        "first_at": START.isoformat(),
        "last_at": (START + timedelta(minutes=minutes)).isoformat(),
    } | changes


def an_exposure(number: int, *reasons: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Person `number`, exposed by the case, for these reasons."""
    return {
        "person_id": f"0193cccc-0000-7000-8000-0000bbbb{number:04d}",
        "via_person_id": "0193cccc-0000-7000-8000-0000aaaa0001",
        "first_at": START.isoformat(),
        "last_at": (START + timedelta(minutes=45)).isoformat(),
        "minutes": sum(reason["minutes"] for reason in reasons),
        "reasons": list(reasons),
        "evidence": [{"kind": one["code"], "id": str(new_id()), "version": 1} for one in reasons],
    } | changes


class Upstream:
    """Answers like alerts, intake and tracing. `away` makes paths beginning so answer 503; `told`
    keeps what each request carried."""

    def __init__(self) -> None:
        self.alerts: dict[str, dict[str, Any]] = {}
        self.series: list[dict[str, Any]] = []
        self.log: list[dict[str, Any]] = []
        self.lines: list[dict[str, Any]] = [a_line()]
        self.counts: list[dict[str, Any]] = []
        self.places: list[dict[str, Any]] = []
        self.cases: dict[str, dict[str, Any]] = {}
        self.exposed: dict[str, list[dict[str, Any]]] = {}
        # What each question about a case said, and what is wrong with all of them.
        self.questions: list[dict[str, str]] = []
        self.wrong: dict[str, Any] = {}
        self.missing: list[str] = []
        self.away: set[str] = set()
        self.told: list[tuple[str, str, dict[str, str]]] = []
        self.acts: list[tuple[str, str]] = []
        self.open_streams = 0
        self.refuse_acts = 0
        self._cut = asyncio.Event()
        self._news = asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/readyz", self._readyz),
                Route("/alerts/alerts", self._alerts),
                Route("/alerts/alerts/{id}", self._alert),
                Route("/alerts/alerts/{id}/{act}", self._act, methods=["POST"]),
                Route("/alerts/signals/summary", self._summary),
                Route("/alerts/series", self._series),
                Route("/alerts/stream", self._stream),
                Route("/intake/balance", self._balance),
                Route("/intake/places", self._places),
                Route("/tracing/cases", self._cases),
                Route("/tracing/cases/{id}", self._case),
                Route("/tracing/cases/{id}/exposures", self._exposures),
            ]
        )

    def publish(self, alert: dict[str, Any]) -> str:
        """Store and announce it; the alert's id."""
        self.alerts[alert["id"]] = alert
        self.log.append(alert)
        self._news.set()
        self._news = asyncio.Event()
        return str(alert["id"])

    def change(self, alert_id: str, **changes: Any) -> None:
        """A new version of an alert, announced."""
        old = self.alerts[alert_id]
        self.publish({**old, "record_version": old["record_version"] + 1, **changes})

    def judge(self, case: dict[str, Any], **exposed: list[dict[str, Any]]) -> str:
        """A case and whom it exposed, by degree; the case's id."""
        self.cases[case["id"]] = case
        self.exposed = exposed
        return str(case["id"])

    def cut_streams(self) -> None:
        """Every open stream ends, as when a process is killed."""
        self._cut.set()
        self._cut = asyncio.Event()

    def paths(self) -> list[str]:
        return [path for _, path, _ in self.told]

    def _hear(self, request: Request) -> Response | None:
        path = request.url.path
        self.told.append((request.method, path, dict(request.headers)))
        if any(path.startswith(prefix) for prefix in self.away):
            return JSONResponse({"title": "away"}, 503)
        if path != "/readyz" and SESSION_COOKIE not in request.cookies:
            return JSONResponse({"title": "no credential"}, 401)
        return None

    async def _readyz(self, request: Request) -> Response:
        body = {"status": "ready", "missing": self.missing}
        return self._hear(request) or JSONResponse(body, 503 if self.missing else 200)

    async def _alerts(self, request: Request) -> Response:
        newest = sorted(self.alerts.values(), key=lambda one: str(one["id"]), reverse=True)
        limit = int(request.query_params["limit"])
        body = {"alerts": newest[:limit], "stream_offset": len(self.log) - 1}
        return self._hear(request) or JSONResponse(body)

    async def _alert(self, request: Request) -> Response:
        found = self.alerts.get(request.path_params["id"])
        return self._hear(request) or JSONResponse(found or {}, 200 if found else 404)

    async def _act(self, request: Request) -> Response:
        refused = self._hear(request)
        if refused or self.refuse_acts:
            return refused or JSONResponse({}, self.refuse_acts)
        act = request.path_params["act"]
        self.acts.append((act, (await request.json())["reason"]))
        self.change(request.path_params["id"], state=STATES[act])
        return JSONResponse({"state": STATES[act]})

    async def _summary(self, request: Request) -> Response:
        return self._hear(request) or JSONResponse({"counts": self.counts})

    async def _series(self, request: Request) -> Response:
        return self._hear(request) or JSONResponse({"days": self.series})

    async def _balance(self, request: Request) -> Response:
        body = {"balanced": all(line["balanced"] for line in self.lines), "lines": self.lines}
        return self._hear(request) or JSONResponse(body)

    async def _places(self, request: Request) -> Response:
        return self._hear(request) or JSONResponse(self.places)

    async def _cases(self, request: Request) -> Response:
        page, size = int(request.query_params["page"]), int(request.query_params["page_size"])
        cases = list(self.cases.values())
        shown = cases[(page - 1) * size : page * size]
        return self._hear(request) or JSONResponse({"total": len(cases), "cases": shown})

    async def _case(self, request: Request) -> Response:
        found = self.cases.get(request.path_params["id"])
        return self._hear(request) or JSONResponse(found or {}, 200 if found else 404)

    async def _exposures(self, request: Request) -> Response:
        refused = self._hear(request)
        asked = dict(request.query_params)
        self.questions.append(asked)
        if refused or self.wrong:
            return refused or JSONResponse(self.wrong, self.wrong["status"])
        case = self.cases[request.path_params["id"]]
        rows = self.exposed.get(asked["degree"], [])
        page, size = int(asked["page"]), int(asked["page_size"])
        return JSONResponse(
            {
                "engine": "sql" if "known_at" in asked else "city",
                "rules": asked.get("rules", case["policy"]),
                "window": {
                    name: asked.get(name, (case["window"] or {}).get(name))
                    for name in ("from_at", "until_at")
                },
                "known_at": asked.get("known_at"),
                "total": len(rows),
                "pairs": len(rows),
                "exposures": rows[(page - 1) * size : page * size],
                "close_contacts": len(self.exposed.get("close_contact", [])),
            }
        )

    async def _stream(self, request: Request) -> Response:
        last = request.headers.get("last-event-id")
        position = len(self.log) if last is None else int(last) + 1
        return self._hear(request) or StreamingResponse(
            self._events(position), media_type="text/event-stream"
        )

    async def _events(self, position: int) -> AsyncIterator[str]:
        cut = self._cut
        self.open_streams += 1
        try:
            yield ": alerts\nretry: 1000\n\n"
            while not cut.is_set():
                while position < len(self.log):
                    alert = self.log[position]
                    body = json.dumps({**alert, "record_id": alert["id"]})
                    yield f"id: {position}\r\nevent: alert\r\ndata: {body}\r\n\r\n"
                    position += 1
                waits = [asyncio.ensure_future(one.wait()) for one in (self._news, cut)]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for one in waits:
                    one.cancel()
        finally:
            self.open_streams -= 1
