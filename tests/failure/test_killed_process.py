"""kill -9 at seeded points of the walk: five per adapter, as many as SOAK says by `make soak`."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence

import pytest

from deploy.kafka.broker import Broker
from shared.bus.port import Delivered
from tests.failure.conftest import SetStage, Stage
from tests.failure.house import (
    FROM_OUTSIDE,
    JUDGED_POINT,
    OFFSET_POINT,
    POINTS,
    SENT_POINT,
    Death,
    Fault,
)
from tests.failure.journal import last_batch
from tests.failure.judgement import event_ids, heard_by, heard_often
from tests.failure.process import BEFORE_ANSWER
from tests.journey.end_state import EndState

KILLS = int(os.environ.get("SOAK", "5"))
ROUNDS = max(1, KILLS // len(POINTS))
# How late a process may get to its point and still surely get there before the walk has ended.
LATEST_TURN = {OFFSET_POINT: 12, SENT_POINT: 8, JUDGED_POINT: 8, BEFORE_ANSWER: 6, FROM_OUTSIDE: 6}


def choose_faults(seed: int) -> list[Fault]:
    """Every point once, in an order and at turns that the seed decides."""
    chance = random.Random(seed)
    points = chance.sample(POINTS, len(POINTS))
    return [
        Fault(point, chance.randint(1, LATEST_TURN[point]), chance.uniform(0.0, 0.02))
        for point in points
    ]


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_a_process_killed_at_five_points_loses_nothing_on_the_embedded_log(
    set_stage: SetStage, reference: EndState, seed: int
) -> None:
    stage = await set_stage(faults=choose_faults(seed))
    await walk_and_judge(stage, reference, seed)


@pytest.mark.kafka
@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_a_process_killed_at_five_points_loses_nothing_on_kafka(
    broker: Broker, set_stage: SetStage, reference: EndState, seed: int
) -> None:
    stage = await set_stage(faults=choose_faults(100 + seed), brokers=broker.bootstrap_servers)
    await walk_and_judge(stage, reference, seed)


async def walk_and_judge(stage: Stage, reference: EndState, seed: int) -> None:
    await stage.walk(seed)
    records = await stage.judge(reference)
    deaths = {death.fault.point: death for death in stage.house.deaths}
    assert deaths.keys() == set(POINTS), f"not killed at all points; left: {stage.house.faults}"
    check_heard_again(stage, deaths[OFFSET_POINT])
    check_sent_again(stage, deaths[SENT_POINT], records)
    # The row was stored, its sender was not told and sent it again.
    assert stage.sender.ledger.unanswered >= 1


def check_heard_again(stage: Stage, death: Death) -> None:
    """What was committed in the database and not in the log came again, to a later process."""
    entries = stage.house.journal
    batch = last_batch(entries, death.process_id, death.loop)
    assert batch, "the process died with a batch behind it"
    heard = heard_by(entries, death.loop)
    started = [one.process_id for one in entries if one.kind == "started"]
    later = set(started[started.index(death.process_id) + 1 :])
    for event_id in batch:
        assert heard[event_id] & later, f"{death.loop} did not hear {event_id} again"


def check_sent_again(stage: Stage, death: Death, records: Sequence[Delivered]) -> None:
    """What was sent and not deleted was sent again, and whoever hears it heard it twice."""
    on_the_log = event_ids(records)
    twice = {event_id for event_id in death.unsent if on_the_log[event_id] >= 2}
    assert twice, "nothing in the outbox of the dead process is on the log twice"
    for (group, event_id), times in heard_often(stage.house.journal).items():
        assert times >= 2 or event_id not in twice, f"{group} heard {event_id} once"
