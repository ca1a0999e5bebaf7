"""A record that can never be processed: kept with its reason, passed by, mended, replayed."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from shared.bus.envelope import encode
from shared.bus.port import Message
from shared.database.work import administration
from shared.events.intake import ScanRecorded
from shared.ids import derived_id
from tests.failure.conftest import NOW, SetStage, Stage
from tests.failure.forge import ROOT
from tests.failure.judgement import read_everything
from tests.failure.walk import COUNTY, DAY
from tests.journey.end_state import EndState, differences

SCAN_ID = derived_id("scan", "poison")
# Who hears scans.
HEARERS = ("tracing", "quarantine", "alerts")


def made_scan(stage: Stage) -> Message:
    """A person who was at the market together with the case, said to have been there."""
    ids = {name: UUID(record_id) for record_id, name in stage.sender.ledger.names.items()}
    event = ScanRecorded(
        record_id=SCAN_ID,
        record_version=1,
        occurred_at=DAY + timedelta(hours=10.5),
        recorded_at=NOW,
        person_id=ids["p22"],
        place_id=ids["market"],
        place_kind="market",
        place_area_id=COUNTY.area_id,
        residence_area_id=COUNTY.area_id,
        left_at=DAY + timedelta(hours=11.5),
        source_id=ids["gate"],
    )
    return encode(event, source="intake")


async def test_a_poison_record_is_kept_passed_by_mended_and_replayed(
    set_stage: SetStage, reference: EndState
) -> None:
    stage = await set_stage()
    await stage.walk(3)
    good = made_scan(stage)
    poison = good._replace(value=good.value.replace(b'"occurred_at"', b'"occured_at"'))
    assert poison.value != good.value
    stranger = Message(good.topic, good.partition, b"", b"not ours", ())
    publisher = await stage.ground.bus.publisher("stranger")
    await publisher.publish([poison, stranger])
    await stage.ground.settle(stage.house)
    for service in HEARERS:
        reasons = await stage.ground.rows(f"SELECT reason FROM {service}.dead_letter")
        assert sorted("occurred_at" in row[0] for row in reasons) == [False, True], service
        assert any("ce_type" in row[0] for row in reasons), service
    # The others go on: nothing of the poison is in effect, and all that follows is.
    assert differences(reference, await read_everything(stage.ground, stage.sender, NOW)) == []
    assert await visits(stage) == 0
    assert await stage.house.is_ready()

    await mend(stage, good)
    listed = await command(stage, "letters", "list")
    assert listed.count("tracing.scans") == 2
    assert "p22" not in listed
    assert str(good.value) not in listed
    assert "2 replayed" in await command(stage, "letters", "replay", "tracing")
    await stage.ground.settle(stage.house)
    assert await visits(stage) == 1
    assert "p22" in await standing_contacts(stage)
    # What nobody could mend came back as a letter of its own, and waits for another day.
    assert (await command(stage, "letters", "list")).count("tracing.scans") == 1


async def mend(stage: Stage, good: Message) -> None:
    """What an operator does: correct our own record; what a stranger wrote cannot be mended."""
    async with administration(stage.ground.engine) as connection:
        mended = await connection.execute(
            text("UPDATE tracing.dead_letter SET value = :value WHERE headers <> :none"),
            {"value": good.value, "none": ""},
        )
        assert mended.rowcount == 1


async def visits(stage: Stage) -> int:
    rows = await stage.ground.rows(f"SELECT count(*) FROM tracing.visit WHERE id = '{SCAN_ID}'")
    return int(rows[0][0])


async def standing_contacts(stage: Stage) -> set[str]:
    """The persons with a standing contact, by the names of the walk."""
    rows = await stage.ground.rows("SELECT person_id FROM tracing.contact WHERE standing")
    return {stage.sender.ledger.names[str(row[0])] for row in rows}


async def command(stage: Stage, *words: str) -> str:
    """`python -m services …` as an operator types it; its output."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=ROOT,
        env={**os.environ, **stage.house.environment},
    )  # fmt: skip
    output, _ = await asyncio.wait_for(child.communicate(), 60.0)
    assert child.returncode == 0, output.decode()
    return output.decode()
