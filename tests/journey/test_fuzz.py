"""Every door is thrown odd input at: it answers, it says what is wrong, and it repeats nothing.

In two ways: every field and parameter with every odd value in turn, and requests that hypothesis
bends in several places at once (the same ones in every run). No answer is a 5xx, every refusal is
problem+json, no refusal echoes a value that came in; and what was taken all the same is digested:
no evaluation fails for ever, no event is given up.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.service import Service
from tests.journey.harness import Outpost
from tests.journey.stage import Area, Person, Place, Source, register, speak_as, tell

CASES_PER_READ, CASES_PER_WRITE = 8, 15
AT_ONCE = 8
COUNTY = "cn:340102"
GATE = Source("gate", "checkpoint", place_code="gate", default_zone="Asia/Shanghai")
REFERENCE = {"scheme": "cn.id", "value": "planted-value-66"}
NOBODY = "00000000-0000-7000-8000-000000000000"
# Distinctive: none of these may stand in any refusal.
PLANTED = ("欧阳种植", "34010219700101777X", "+8613800138777", "Plantedstrasse 77")

MOMENT = "2020-05-01T11:00:00+08:00"
HEAD = {"external_id": "row-1", "revision": 1, "occurred_at": MOMENT}
BODIES: Mapping[str, Any] = {
    "/intake/scans": [
        HEAD | {"place": {"code": "gate"}, "person": REFERENCE, "temperature_c": 36.5}
    ],
    "/intake/reports": [
        HEAD | {"kind": "school", "place": {"code": "gate"}, "symptoms": ["fever"], "fever": True}
    ],
    "/intake/encounters": [
        HEAD | {"person": REFERENCE, "other_person": {"person_id": NOBODY}, "duration_seconds": 60}
    ],
    "/intake/memberships": [
        HEAD | {"person": REFERENCE, "group": {"kind": "household", "code": "12"}}
    ],
    "/intake/results": [
        HEAD
        | {
            "person": REFERENCE, "specimen": "s1", "disease": "covid19", "outcome": "positive",
            "reported_at": MOMENT, "onset_date": "2020-04-30", "analytes": ["94500-6"],
        }
    ],
    "/intake/sources": {"name": "gate two", "kind": "checkpoint", "place_code": "gate"},
    "/intake/places": [{"code": "gate two", "kind": "station", "area_id": COUNTY, "name_zh": "站"}],
    "/intake/persons": [
        {"residence_area_id": COUNTY, "identifiers": [REFERENCE], "name": PLANTED[0]}
    ],
    "/intake/areas": [
        {"area_id": "cn:340103", "level": "county", "name": "区", "parent_id": COUNTY,
         "valid_from": "2009-01-01"}
    ],
    "/tracing/cases": {
        "person_id": NOBODY, "disease": "covid19", "classification": "confirmed",
        "reported_at": MOMENT, "area_id": COUNTY, "reason": "seen",
    },
    "/tracing/cases/{case_id}/discard": {"reason": "no case"},
    "/tracing/cases/{case_id}/reopen": {"reason": "a case"},
    "/quarantine/orders/{order_id}/places": {"place_id": NOBODY, "reason": "dialysis"},
    "/quarantine/orders/{order_id}/checks": {
        "done_at": MOMENT, "temperature_c": 36.6, "symptoms": ["cough"]
    },
    "/alerts/alerts/{alert_id}/{act}": {"reason": "looked at"},
}  # fmt: skip
FORMS: Mapping[str, bytes] = {
    "/console/session": b"login=duty&password=secret",
    "/console/alerts/{alert_id}/act": b"act=close&reason=done",
}
LISTS = b"id,onset_date,report_date\none,2020-02-14,2020-02-15\n"
MESSAGE = (
    "MSH|^~\\&|APP|CLINIC^1.2.3^ISO|||20200501110000+0800||ADT^A04^ADT_A01|c1|P|2.5.1\r"
    "EVN||20200501110000+0800\r"
    f"PID|1||{PLANTED[1]}^^^H^PI||{PLANTED[0]}^X||19700101|M|||{PLANTED[3]}||{PLANTED[2]}\r"
    "PV1|1|E||||||||||||||||||v1^^^H^VN|||||||||||||||||||||||||20200501110000+0800\r"
    "OBX|1|NM|8310-5^Temp^LN||38.9|Cel^^UCUM|||||F|||20200501110000+0800\r"
).encode()

TEXTS = (
    "", " ", "\x00", "a\x00b", "\ud800", "x\udfff", "\r", "\n\r", "\u202e\u0000", "\ufeff", "%s%n",
    "A" * 5000, "é" * 300, "' OR 1=1 --", "null", "٣", "-", "--5", "9" * 40, *PLANTED,
)  # fmt: skip
INSTANTS = (
    "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.999999Z", "1900-01-01T00:00:00+23:59",
    "2200-12-31T23:59:59-12:00", "2020-02-30T00:00:00Z", "2020-05-01", "2020-05-01T11:00:00",
    "2020-05-01T24:00:00Z", "2020-10-25T02:30:00", "0", "99999999999999", "-PT1S",
    "0001-01-01", "9999-12-31", "1900-01-01", "2200-12-31",
)  # fmt: skip
NUMBERS = (
    0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**30, 10**400, 1e308, -0.0, 0.1,
    float("nan"), float("inf"), float("-inf"), True,
)  # fmt: skip
DEEP: Any = "leaf"
for _ in range(150):
    DEEP = [DEEP]
SHAPES: tuple[Any, ...] = (None, [], {}, [[]], {"a": {"b": None}}, DEEP, [1, "two"])
EVERY_ODD = (*TEXTS, *INSTANTS, *NUMBERS, *SHAPES)
VICIOUS = (
    "\x00", "é" * 300, "-", "9" * 40, INSTANTS[0], INSTANTS[3], "2020-05-01T11:00:00", PLANTED[0]
)  # fmt: skip
ODD_TEXT, ODD_INSTANT = st.sampled_from(TEXTS), st.sampled_from(INSTANTS)
ODD_NUMBER = st.sampled_from(NUMBERS)
ODD = st.one_of(
    ODD_TEXT, ODD_INSTANT, ODD_NUMBER, st.sampled_from(SHAPES), st.text(max_size=20)
)  # fmt: skip
KEYS = st.one_of(ODD_TEXT, st.text(max_size=8))


def places_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a body, the body itself among them."""
    yield path
    if isinstance(value, dict | list):
        inside = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in inside:
            yield from places_in(one, (*path, key))


def put(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    """The body with another value at one place."""
    if not path:
        return odd
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = put(value[path[0]], path[1:], odd)
    return changed


@st.composite
def bent_bodies(draw: st.DrawFn, sound: Any) -> Any:
    """A sound body with one to three odd places, and perhaps an unknown field."""
    body = sound
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places_in(body))))
        body = put(body, path, draw(ODD))
    if isinstance(body, dict) and draw(st.booleans()):
        body = body | {draw(KEYS): draw(ODD)}
    if isinstance(body, list) and body and isinstance(body[0], dict) and draw(st.booleans()):
        body = [body[0] | {draw(KEYS): draw(ODD)}, *body[1:]]
    return body


def write_json(body: Any) -> bytes:
    """Also what JSON has no word for: NaN, lone surrogates as escapes, numbers of 400 digits."""
    return json.dumps(body, allow_nan=True).encode()


def twice_the_first_key(raw: bytes) -> bytes:
    return raw.replace(b"{", b'{"external_id": "\\u0000", "reason": null, ', 1)


# Every third row, and every eleventh body that is taken or refused as a whole: the time is bounded.
ROW_STEP, BODY_STEP = 3, 11
ROW_DOORS = frozenset(
    f"/intake/{name}" for name in ("scans", "reports", "encounters", "memberships", "results")
)
SPOILS: tuple[Callable[[bytes], bytes], ...] = (
    lambda raw: raw,
    lambda raw: raw,
    lambda raw: raw,
    twice_the_first_key,
    lambda raw: raw[: len(raw) // 2],
    lambda raw: b"\xef\xbb\xbf" + raw,
    lambda raw: raw.replace(b'"', b'"\xff\xfe', 1),
    lambda raw: raw.decode(errors="replace").encode("utf-16"),
    lambda raw: raw.replace(b"\r", b"\n").replace(b",", b"\r,"),
    lambda raw: raw + b"\x00",
    lambda _: b"",
    lambda _: b"[" * 100_000,
    lambda _: b'{"a":' * 60_000,
    lambda raw: b"[" + b",".join([raw.strip()[1:-1] or b"{}"] * 1_001) + b"]",
    gzip.compress,
)
TYPES = st.sampled_from(
    ["application/json", "application/json", "text/plain", "application/xml; charset=utf-16", "",
     "multipart/form-data; boundary=x", "application/json; charset=latin-1", "\xff"]
)  # fmt: skip


@st.composite
def cut_bytes(draw: st.DrawFn, sound: bytes) -> bytes:
    """A sound file or form with some stretches of it replaced by odd bytes."""
    raw = sound
    odd = [b"", b"\x00", b"\r", b"\xff\xfe", b"|" * 50, b"^~\\&", b"\x0b", b"\x1c\r",
           b"\xed\xa0\x80", b"9" * 400, b"00010101", b"99991231235959.9999-1400", b"%00", b"&",
           b'"', b"NaN", *(one.encode() for one in PLANTED)]  # fmt: skip
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(len(raw), start + 40)))
        raw = raw[:start] + draw(st.sampled_from(odd)) + raw[end:]
    return raw


@dataclass(frozen=True, slots=True)
class Shot:
    """One request that is made in odd faith."""

    method: str
    path: str
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        told = self.content if len(self.content) < 400 else self.content[:400] + b"..."
        return f"{self.method} {self.path} {dict(self.headers)} {told!r}"


@dataclass(frozen=True, slots=True)
class Target:
    """A route with the parameters that its own document names."""

    method: str
    path: str
    parameters: tuple[tuple[str, ...], ...]

    @property
    def streams(self) -> bool:
        return self.path.endswith("/stream")


def targets(services: tuple[Service, ...]) -> list[Target]:
    found = []
    for service in services:
        app = FastAPI()
        for router in service.routers:
            app.include_router(router)
        for path, operations in app.openapi()["paths"].items():
            for method, operation in operations.items():
                named = tuple((one["name"], one["in"]) for one in operation.get("parameters", []))
                found.append(Target(method.upper(), path, named))
    return found


def each_in_turn(target: Target, ids: Mapping[str, str]) -> Iterator[Shot]:
    """One odd place at a time. Rows travel together: each has a fate of its own."""
    path = target.path
    for name, value in ids.items():
        path = path.replace(f"{{{name}}}", value)
    path = re.sub(r"\{[^}]*\}", NOBODY, path)
    head = {"content-type": "application/json"}
    for name, where in target.parameters:
        for odd in VICIOUS if where == "query" else ():
            yield Shot(target.method, f"{path}?{name}={quote(odd)}", b"{}", head)
    sound = BODIES.get(target.path)
    if sound is None or target.method != "POST":
        return
    bent = [put(sound, place, odd) for place in places_in(sound) for odd in EVERY_ODD]
    if target.path in ROW_DOORS:
        rows = [body[0] if isinstance(body, list) and body else body for body in bent[::ROW_STEP]]
        told = [
            {"external_id": f"row-{number}", **row, **one_id(row, number)}
            if isinstance(row, dict)
            else row
            for number, row in enumerate(rows)
        ]
        for start in range(0, len(told), 1_000):
            yield Shot("POST", path, write_json(told[start : start + 1_000]), head)
    else:
        yield from (Shot("POST", path, write_json(body), head) for body in bent[::BODY_STEP])


def one_id(row: dict[str, Any], number: int) -> dict[str, Any]:
    """An id of its own for every row whose odd place is another field."""
    return {"external_id": f"row-{number}"} if row.get("external_id") == "row-1" else {}


@st.composite
def shots(draw: st.DrawFn, target: Target, ids: Mapping[str, str]) -> Shot:
    """A request to the route: odd query, odd path now and then, odd body."""
    path, query, headers = target.path, [], {}
    for name, where in target.parameters:
        odd = draw(st.one_of(ODD_TEXT, ODD_INSTANT, ODD_NUMBER.map(str)))
        text = odd.encode(errors="replace")[:2000]
        if where == "path":
            known = ids.get(name, NOBODY)
            path = path.replace(
                f"{{{name}}}", draw(st.sampled_from([known, known, known, quote(text, safe="")]))
            )
        elif where == "query" and draw(st.integers(0, 2)):
            sound = {"disease": "covid19", "id_scheme": "list", "language": "en"}.get(name)
            query.append(f"{name}={sound if sound and draw(st.booleans()) else quote(text)}")
        elif where == "header" and draw(st.booleans()):
            headers[name] = "".join(c for c in odd if " " <= c <= "~")[:500]
    if target.path.startswith("/console"):
        headers["sec-fetch-site"] = "same-origin"
    if query:
        path = f"{path}?{'&'.join(query)}"
    if target.method not in ("POST", "PUT"):
        return Shot(target.method, path, headers=headers)
    kind = draw(TYPES)
    if target.path in BODIES:
        raw = write_json(draw(bent_bodies(BODIES[target.path])))
        raw = draw(st.sampled_from(SPOILS))(raw)
    elif target.path in FORMS:
        raw = draw(cut_bytes(FORMS[target.path]))
    elif target.path == "/intake/hl7v2":
        raw = draw(st.sampled_from([*SPOILS[:3], *SPOILS[5:]]))(draw(cut_bytes(MESSAGE)))
    else:
        raw = draw(cut_bytes(LISTS))
    if raw[:2] == b"\x1f\x8b":
        headers["content-encoding"] = "gzip"
    headers["content-type"] = "".join(c for c in kind if c <= "~") or "text/plain"
    return Shot(target.method, path, raw, headers)


def make_shots(target: Target, ids: Mapping[str, str], number: int) -> list[Shot]:
    """The same requests in every run."""
    made: list[Shot] = []

    @settings(
        max_examples=number, derandomize=True, database=None, deadline=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(shots(target, ids))
    def collect(shot: Shot) -> None:
        made.append(shot)

    collect()
    return made


async def test_no_door_breaks_or_repeats_what_it_was_told(outpost: Outpost) -> None:
    ids = await furnish(outpost)
    bound = await speak_as(outpost, GATE)
    wrongs: list[str] = []
    room = asyncio.Semaphore(AT_ONCE)

    async def fire(target: Target, shot: Shot) -> None:
        headers = {**(bound if target.path.startswith("/intake") else {}), **shot.headers}
        async with room:
            wrong = await judged(outpost, target, shot, headers)
        if wrong:
            wrongs.append(f"{wrong}\n    {shot}")

    every = targets(tuple(outpost.services))
    assert len(every) > 50
    for target in every:
        number = CASES_PER_READ if target.method == "GET" else CASES_PER_WRITE
        made = [*each_in_turn(target, ids), *make_shots(target, ids, number)]
        await asyncio.gather(*(fire(target, one) for one in made))
    assert not wrongs, f"{len(wrongs)} wrong answers:\n" + "\n".join(wrongs[:20])
    await outpost.settled(within_seconds=60)


async def furnish(outpost: Outpost) -> dict[str, str]:
    """An area, a gate with a key, and a case with an order, so that ids in paths find something."""
    person = Person("ada", COUNTY, *REFERENCE.values())
    await register(
        outpost, Area(COUNTY, "county", "县", zone="Asia/Shanghai"),
        Place("gate", "station", COUNTY), GATE, person,
    )  # fmt: skip
    (person_id,) = [one for one, name in outpost.names.items() if name == "ada"]
    positive = BODIES["/intake/results"][0] | {"external_id": "first", "place": {"code": "gate"}}
    await tell(outpost, GATE, "results", positive)
    await outpost.settled()
    (order,) = (await outpost.read("/quarantine/orders"))["orders"]
    (case,) = (await outpost.read("/tracing/cases"))["cases"]
    (alert,) = (await outpost.read("/alerts/alerts"))["alerts"]
    return {
        "person_id": person_id, "case_id": case["id"], "order_id": order["id"],
        "alert_id": alert["id"], "act": "acknowledge",
    }  # fmt: skip


async def judged(
    outpost: Outpost, target: Target, shot: Shot, headers: Mapping[str, str]
) -> str | None:
    """What is wrong with the answer; None when nothing is."""
    client = next(outpost.clients[target.path.split("/")[1]])
    request = client.build_request(
        shot.method, shot.path, content=shot.content or None, headers=dict(headers)
    )
    try:
        answer = await client.send(request, stream=True)
        if not (target.streams and answer.status_code == 200):
            await answer.aread()
        await answer.aclose()
    except httpx.HTTPError as error:
        return f"the connection broke ({type(error).__name__})"
    status = answer.status_code
    if status >= 500:
        return f"{status}: {answer.text}"
    if target.streams and status == 200:
        return None
    return wrong_refusal(target, answer) if status >= 400 else wrong_rows(answer)


def wrong_refusal(target: Target, answer: httpx.Response) -> str | None:
    for value in PLANTED:
        if value in answer.text or json.dumps(value)[1:-1] in answer.text:
            return f"{answer.status_code} repeats {value}: {answer.text}"
    kind = answer.headers["content-type"]
    if target.path.startswith("/console") and kind.startswith("text/html"):
        return None
    if not kind.startswith("application/problem+json"):
        return f"{answer.status_code} is {kind}: {answer.text}"
    problem = answer.json()
    lacking = [name for name in ("type", "title", "status", "detail") if not problem.get(name)]
    if lacking or problem["status"] != answer.status_code:
        return f"{answer.status_code} lacks {lacking}: {answer.text}"
    return None


def wrong_rows(answer: httpx.Response) -> str | None:
    """Also a taken batch refuses single rows; the sender's own id is theirs to see again."""
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return None
    told = answer.json()
    rows = told.get("rows", []) if isinstance(told, dict) else []
    for row in rows:
        text = json.dumps([row.get("problems"), row.get("warnings")], ensure_ascii=False)
        for value in PLANTED:
            if value in text:
                return f"a row repeats {value}: {text}"
    return None
