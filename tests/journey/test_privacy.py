"""Names and numbers go in at every door; afterwards they stand in the vault and nowhere else.

The planted values are looked for in every column of every table (log and outbox are tables here),
in sealed and deflated bytes too, in every line of the log, in the metrics, in every listing, page
and problem body. The doors that show names write an audit line before they do.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.credentials import Grant, issue_key
from shared.log import configure_log
from tests.journey.harness import Outpost, all_permissions
from tests.journey.stage import Area, Place, Source, register, speak_as

COUNTY = "cn:340102"
CLINIC = Source(
    "clinic", "fever_clinic", ("CLINIC", "1.2.3"), place_code="clinic", default_zone="Asia/Shanghai"
)
GATE = Source("gate", "checkpoint", place_code="gate", default_zone="Asia/Shanghai")
DESK = Source("desk", "list", default_zone="Asia/Shanghai")
NAME, OTHER_NAME = "欧阳种植", "Plantagenet-Zzyzx"
NUMBER, OTHER_NUMBER, LIST_NUMBER = "34010219700101777X", "QX7741199Z", "340102198802027771"
PHONE, ADDRESS, PERMIT = "+86 138 0013 8777", "Plantedstrasse 77, 3rd floor", "TRAVEL-340102777"
PLANTED = (
    NAME,
    OTHER_NAME,
    NUMBER,
    OTHER_NUMBER,
    LIST_NUMBER,
    PHONE,
    ADDRESS,
    PERMIT,
    "PLANTEDSTRASSE",
)
# What a person writes as a reason stays in the trail, and goes no further.
REASON = "spoke with Reasonable-Qwyx"
SERVICE_SCHEMAS = ("intake", "tracing", "quarantine", "alerts", "console", "bus", "access")
TRAILS = {("audit", "reason"), ("verdict", "reason"), ("opening", "reason")}
NOON, LATER = "2020-05-01T10:00:00+08:00", "2020-05-01T11:00:00+08:00"
ADA = {"scheme": "cn-resident-id", "value": NUMBER}
BEN = {"scheme": "passport", "value": OTHER_NUMBER}

MESSAGE = (
    "MSH|^~\\&|APP|CLINIC^1.2.3^ISO|||20200501100000+0800||ADT^A04^ADT_A01|{control}|P|2.5.1\r"
    "EVN||20200501100000+0800|||||CLINIC^1.2.3^ISO\r"
    f"PID|1||{NUMBER}^^^H&1.2.9&ISO^PI||{NAME}^{OTHER_NAME}||19700101|M|||{ADDRESS}^^^X||{PHONE}\r"
    f"NK1|1|{OTHER_NAME}^X|MTH|{ADDRESS}|{PHONE}\r"
    "PV1|1|E|{late}||||||||||||||||v1^^^H&1.2.9&ISO^VN"
    "|||||||||||||||||||||||||20200501100000+0800\r"
    f"PV2|||^fever, told by {NAME} of {ADDRESS}\r"
    "OBX|1|NM|8310-5^Temp^LN||{value}|Cel^^UCUM|||||F|||20200501100000+0800\r"
    f"OBX|2|TX|8661-1^Chief complaint^LN||fever and cough, call {PHONE} ({NAME})||||||F\r"
)
LINE_LIST = (
    f"id,name,onset_date,report_date,remarks\n{LIST_NUMBER},{NAME},2020-04-29,2020-04-30,{PHONE}\n"
)
BROKEN_LIST = f"id,name,onset_date,report_date\n{LIST_NUMBER},{NAME},{NAME},{NUMBER}\n"
PAIRS = f"infector,infectee,setting\n{LIST_NUMBER},{NUMBER},dinner with {NAME}\n"


class Findings:
    """Where a planted value was seen."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def look(self, where: str, content: object, planted: tuple[str, ...] = PLANTED) -> None:
        for spelling in spellings(content):
            for value in planted:
                if value in spelling:
                    self.seen.append(f"{where}: {value} in {spelling[:300]!r}")


def spellings(content: object) -> Iterator[str]:
    """A value as it could be read by whoever gets hold of it."""
    if isinstance(content, bytes | bytearray | memoryview):
        raw = bytes(content)
        yield raw.decode(errors="replace")
        yield raw.decode("utf-16", errors="replace")
        for inflate in (zlib.decompress, base64.b64decode):
            try:
                yield inflate(raw).decode(errors="replace")
            except (zlib.error, ValueError):
                continue
    elif isinstance(content, dict | list):
        yield json.dumps(content, ensure_ascii=False, default=str)
    elif content is not None:
        told = str(content)
        yield told
        if "\\u" in told:
            yield told.encode().decode("unicode_escape", errors="replace")


async def test_what_is_personal_stands_in_the_vault_and_nowhere_else(
    outpost: Outpost, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_log(level="debug", style="json")
    found = Findings()
    await fill(outpost, found)
    await outpost.settled()
    await decide(outpost)
    await outpost.settled()
    await look_through_tables(outpost, found)
    await look_through_doors(outpost, found)
    streams = capfd.readouterr()
    found.look("standard error", streams.err)
    found.look("standard output", streams.out)
    assert not found.seen, "\n".join(found.seen)


async def test_whoever_sees_a_name_is_on_record_before_the_answer_leaves(outpost: Outpost) -> None:
    await register_all(outpost)
    (person,) = await outpost.send("/intake/persons", [{"identifiers": [ADA], "name": NAME}])
    await outpost.hl7(MESSAGE.format(control="c1", value="38.9", late="").encode())
    (message,) = await outpost.read("/intake/messages")

    seen = await outpost.read(f"/intake/persons/{person['person_id']}")
    assert seen["fields"]["name"] == NAME
    assert seen["identifiers"] == [ADA]
    assert NAME in (await outpost.read(f"/intake/messages/{message['message_id']}"))["body"]

    actions = {
        (row.action, row.record_id)
        for row in await rows_of(outpost, "SELECT action, record_id FROM intake.audit")
    }
    assert ("person_looked_at", person["person_id"]) in actions
    assert ("message_looked_at", message["message_id"]) in actions


async def register_all(outpost: Outpost) -> None:
    await register(
        outpost, Area(COUNTY, "county", "庐阳", zone="Asia/Shanghai"),
        Place("clinic", "fever_clinic", COUNTY), Place("gate", "station", COUNTY),
        CLINIC, GATE, DESK,
    )  # fmt: skip


async def fill(outpost: Outpost, found: Findings) -> None:
    """Every door gets its share, sound and broken."""
    await register_all(outpost)
    await outpost.send(
        "/intake/persons",
        [
            {"residence_area_id": COUNTY, "identifiers": [ADA], "name": NAME, "phone": PHONE,
             "address": ADDRESS, "birth_date": "1970-01-01", "sex": "F"},
            {"residence_area_id": COUNTY, "identifiers": [BEN], "name": OTHER_NAME},
        ],
    )  # fmt: skip
    await post_rows(outpost, found)
    await post_messages(outpost, found)
    for number, content in enumerate((LINE_LIST, BROKEN_LIST, PAIRS)):
        answer = await outpost.ask(
            "POST", "/intake/lists", params={"disease": "covid19", "id_scheme": "cn-resident-id"},
            content=content.encode(), headers=await speak_as(outpost, DESK),
        )  # fmt: skip
        assert answer.status_code == 202, answer.text
        for row in answer.json()["rows"]:
            found.look(f"list {number}", [row.get("problems"), row.get("warnings")])
    await post_nonsense(outpost, found)


def scan(external_id: str, person: dict[str, str], at: str, **more: Any) -> dict[str, Any]:
    head = {"external_id": external_id, "occurred_at": at, "place": {"code": "gate"}}
    return head | {"person": person} | more


async def post_rows(outpost: Outpost, found: Findings) -> None:
    rows = {
        "scans": [
            scan("s1", ADA, NOON, left_at=LATER, temperature_c=39.1),
            scan("s2", BEN, NOON, left_at=LATER, permit=PERMIT),
            scan("s3", ADA, NOON, name=NAME),
            scan("s4", ADA, NOON) | {NAME: 1, PHONE: 2, NUMBER: 3},
            scan("s5", {"scheme": NUMBER, "value": ""}, PHONE, temperature_c=NAME),
        ],
        "reports": [
            {"external_id": "r1", "occurred_at": NOON, "kind": "pharmacy", "person": ADA,
             "symptoms": [f"fever, {NAME}, {PHONE}"]},
            {"external_id": "r2", "occurred_at": NOON, "kind": NAME, "symptoms": [NAME]},
        ],
        "encounters": [
            {"external_id": "e1", "occurred_at": NOON, "person": ADA, "other_person": BEN,
             "duration_seconds": 4000},
        ],
        "memberships": [
            {"external_id": "m1", "occurred_at": NOON, "person": BEN,
             "group": {"kind": "household", "code": ADDRESS}},
        ],
        "results": [
            {"external_id": "t1", "occurred_at": NOON, "reported_at": LATER, "person": ADA,
             "specimen": NUMBER, "disease": "covid19", "outcome": "positive"},
            {"external_id": "t2", "occurred_at": NOON, "reported_at": NAME, "person": ADA,
             "specimen": NUMBER, "disease": NAME, "outcome": PHONE},
        ],
    }  # fmt: skip
    for door, told in rows.items():
        answer = await outpost.ask(
            "POST", f"/intake/{door}", json=told, headers=await speak_as(outpost, GATE)
        )
        assert answer.status_code == 202, answer.text
        found.look(door, answer.text)


async def post_messages(outpost: Outpost, found: Findings) -> None:
    stranger = MESSAGE.replace("CLINIC^1.2.3", "STRANGER^9.9.9")
    laboratory = (
        "MSH|^~\\&|APP|CLINIC^1.2.3^ISO|||20200501||ORU^R01^ORU_R01|o1|P|2.5.1\r"
        f"PID|1||{NUMBER}^^^H&1.2.9&ISO^PI||{NAME}||19700101|M\r"
        f"ORC|RE||f1^LAB^1.2.4^ISO||||||||||{OTHER_NAME}\r"
        f"OBR|1||f1^LAB^1.2.4^ISO|94500-6^SARS^LN|||20200501|||{OTHER_NAME}"
        "||||||||||||20200501|||F\r"
        f"OBX|1|CWE|94500-6^SARS^LN||260373001^Detected, {NAME}^SCT||||||F\r"
        f"SPM|1|^{NUMBER}&LAB&1.2.4&ISO||258500001^swab^SCT|||||||||||||20200501\r"
        f"NTE|1||told to {NAME}, {PHONE}\r"
    )
    for number, raw in enumerate(
        (
            MESSAGE.format(control="c1", value="38.9", late=""),
            MESSAGE.format(control="c1", value=NAME, late=PHONE),
            stranger.format(control="c2", value="38.9", late=""),
            MESSAGE.format(control="c3", value="38.9", late="").replace("19700101", NAME),
            MESSAGE.format(control="c4", value="38.9", late="").replace("ADT^A04", f"ADT^{NAME}"),
            MESSAGE.format(control="c5", value="38.9", late="").replace(
                "PV1|1|E", f"{NAME}|{PHONE}"
            ),
            laboratory,
            f"BHS|^~\\&|APP|CLINIC^1.2.3^ISO\r{laboratory}BTS|{NAME}\r",
            f"PID|1||{NUMBER}||{NAME}\r",
        )
    ):
        found.look(f"acknowledgement {number}", (await outpost.hl7(raw.encode())).content)


async def post_nonsense(outpost: Outpost, found: Findings) -> None:
    """Refusals of every kind; none repeats what came in, wherever it stood."""
    bodies: list[tuple[str, Any]] = [
        ("/intake/persons", [{"identifiers": [{"scheme": NUMBER}], "name": [NAME], NAME: PHONE}]),
        ("/intake/persons", {"residence_area_id": NAME, "sex": NAME, "birth_date": NUMBER}),
        ("/intake/places", [{"code": "x", "kind": NAME, NAME: NAME}]),
        ("/intake/sources", {"name": "x", "kind": NAME, "default_zone": NAME, "mode": NUMBER}),
        ("/intake/areas", [{"area_id": NAME, "level": NAME, "name": "x", PHONE: 1}]),
        ("/tracing/cases", {"person_id": NUMBER, "disease": NAME, "classification": NAME, NAME: 1}),
        ("/alerts/alerts/00000000-0000-7000-8000-000000000000/close", {"reason": "", NAME: PHONE}),
    ]
    for path, body in bodies:
        answer = await outpost.ask("POST", path, json=body)
        assert answer.status_code in (404, 422), f"{path}: {answer.status_code} {answer.text}"
        found.look(path, answer.text)
    name = quote(NAME)
    for path in (
        f"/intake/persons/{name}", f"/intake/messages?state={name}&limit={name}", f"/{name}",
        f"/tracing/cases?disease={name}&page={name}", f"/alerts/alerts?state={name}&before={name}",
        f"/quarantine/orders?person_id={name}", f"/console/static/{name}", f"/intake/{name}",
    ):  # fmt: skip
        found.look(path, (await ask_any(outpost, "GET", path)).text)


async def ask_any(outpost: Outpost, method: str, path: str, **options: Any) -> httpx.Response:
    return await next(outpost.clients["intake"]).request(method, path, **options)


async def decide(outpost: Outpost) -> None:
    """People write reasons; some of what follows from them goes on the log."""
    (case, *_) = await outpost.pages("/tracing/cases", "cases")
    for act in ("discard", "reopen"):
        await outpost.send(f"/tracing/cases/{case['id']}/{act}", {"reason": REASON})
    alerts = (await outpost.read("/alerts/alerts"))["alerts"]
    assert alerts, "the walk ends in an alert"
    await outpost.send(f"/alerts/alerts/{alerts[0]['id']}/acknowledge", {"reason": REASON})
    assert (await outpost.read("/quarantine/orders"))["orders"], "and in orders"


async def rows_of(outpost: Outpost, statement: str) -> list[Any]:
    engine = create_async_engine(outpost.admin_url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return list((await connection.execute(text(statement))).all())
    finally:
        await engine.dispose()


async def look_through_tables(outpost: Outpost, found: Findings) -> None:
    """The vault's columns are looked at too: sealed, they hold nothing that can be read."""
    names = await rows_of(
        outpost, "SELECT table_schema, table_name FROM information_schema.tables"
        " WHERE table_type = 'BASE TABLE' ORDER BY 1, 2",
    )  # fmt: skip
    looked, filled = 0, set()
    for schema, table in names:
        if schema not in SERVICE_SCHEMAS:
            continue
        looked += 1
        for row in await rows_of(outpost, f'SELECT * FROM "{schema}"."{table}"'):
            filled.add(f"{schema}.{table}")
            for column, value in row._mapping.items():
                found.look(f"{schema}.{table}.{column}", value)
                if (table, column) not in TRAILS:
                    found.look(f"{schema}.{table}.{column}", value, (REASON,))
    assert looked > 40
    wanted = {"intake.vault", "intake.rejected_row", "intake.receipt", "intake.finding",
              "bus.record", "quarantine.quarantine_order", "alerts.alert"}  # fmt: skip
    assert filled >= wanted, f"nothing was written to {sorted(wanted - filled)}"


async def look_through_doors(outpost: Outpost, found: Findings) -> None:
    """Every listing with a key that may do everything but see names."""
    permissions = [one for one in all_permissions(outpost.services) if one != "persons.read_names"]
    engine = create_async_engine(outpost.admin_url, poolclass=NullPool)
    key = await issue_key(engine, "nameless", Grant([*permissions, "metrics.read"], ["*"]))
    await engine.dispose()
    headers = {"authorization": f"Bearer {key}"}
    paths = [
        "/metrics", "/readyz", "/intake/messages", "/intake/findings?limit=2000", "/intake/sources",
        "/intake/places", "/intake/areas", "/intake/balance", "/intake/rejections",
        "/tracing/cases", "/tracing/links", "/quarantine/orders", "/quarantine/checks",
        "/quarantine/breaches", "/alerts/alerts", "/alerts/signals", "/alerts/signals/summary",
        "/alerts/deliveries", "/alerts/rules", "/console/", "/console/parts/alerts",
        "/alerts/series?area=420106&kind=fever_clinic&from=2021-01-01&until=2021-12-31",
        "/console/parts/signals", "/console/parts/balance", "/console/parts/health",
    ]  # fmt: skip
    messages = await outpost.read("/intake/messages")
    paths += [f"/intake/messages/{message['message_id']}" for message in messages]
    for case in await outpost.pages("/tracing/cases", "cases"):
        paths += [f"/tracing/cases/{case['id']}", f"/tracing/cases/{case['id']}/contacts"]
        paths += [
            f"/intake/persons/{case['person_id']}",
            f"/tracing/persons/{case['person_id']}/links",
        ]
    for order in (await outpost.read("/quarantine/orders"))["orders"]:
        paths.append(f"/quarantine/orders/{order['id']}")
    for alert in (await outpost.read("/alerts/alerts"))["alerts"]:
        paths += [f"/alerts/alerts/{alert['id']}", f"/console/alerts/{alert['id']}"]
    for path in paths:
        answer = await ask_any(outpost, "GET", path, headers=headers)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        found.look(path, answer.text)
