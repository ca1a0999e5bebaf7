"""The owners behind the console, as small as a page needs them: alerts and intake in memory."""

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


class Upstream:
    """Answers like alerts and intake. `away` makes paths beginning so answer 503; `told` keeps what
    each request carried."""

    def __init__(self) -> None:
        self.alerts: dict[str, dict[str, Any]] = {}
        self.log: list[dict[str, Any]] = []
        self.lines: list[dict[str, Any]] = [a_line()]
        self.counts: list[dict[str, Any]] = []
        self.places: list[dict[str, Any]] = []
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
                Route("/alerts/stream", self._stream),
                Route("/intake/balance", self._balance),
                Route("/intake/places", self._places),
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

    async def _balance(self, request: Request) -> Response:
        body = {"balanced": all(line["balanced"] for line in self.lines), "lines": self.lines}
        return self._hear(request) or JSONResponse(body)

    async def _places(self, request: Request) -> Response:
        return self._hear(request) or JSONResponse(self.places)

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
