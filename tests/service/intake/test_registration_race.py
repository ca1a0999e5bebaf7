"""A message and the registration it waits for, at the same moment."""

from __future__ import annotations

import asyncio

import pytest_asyncio

from tests.service.intake.window import Intake

MESSAGE = "\r".join(
    (
        "MSH|^~\\&||Race{n}^1.2.3.{n}^ISO|||20200214120000+0800||ADT^A04^ADT_A01|R-{n}|P|2.5.1",
        "EVN||20200214115500+0800|||||Race{n}^1.2.3.{n}^ISO",
        "PID|1||p{n}^^^Race{n}&1.2.3.{n}&ISO^MR||~^^^^^^S|||F",
        "PV1|1|O|||||||||||||||||v{n}^^^Race{n}&1.2.3.{n}&ISO^VN"
        + "|" * 25
        + "20200214115000+0800",
        "",
    )
)
ROUNDS = 12


@pytest_asyncio.fixture
async def engine_room(intake: Intake) -> Intake:
    """An interface engine whose key is bound to no source."""
    return intake


async def test_no_message_waits_for_a_registration_that_has_happened(engine_room: Intake) -> None:
    for number in range(ROUNDS):
        await asyncio.gather(
            engine_room.hl7(MESSAGE.format(n=number).encode()),
            engine_room.told(
                "sources",
                {
                    "name": f"race {number}",
                    "kind": "fever_clinic",
                    "facility_namespace": f"Race{number}",
                    "facility_universal_id": f"1.2.3.{number}",
                    "default_zone": "Asia/Shanghai",
                },
            ),
        )
    waiting = await engine_room.get("messages", state="waiting_for_registration")
    assert waiting == []
    assert await engine_room.count("clinic_encounter") == ROUNDS
