"""The walks on a real Apache Kafka: two processes of each service, each walk on a fresh broker.

Walks 1 to 3 run on two processes that carry all services, walk 5 on two processes of each service.
What they must end with is what the same walk ended with on the embedded log.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from services.__main__ import SERVICES
from tests.journey import chain, walk_laboratory, walk_outbreak, walk_syndromic
from tests.journey.conftest import MakeOutpost
from tests.journey.end_state import differences, read_end_state
from tests.journey.messages import Acknowledgement, folder

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka")]

NAMES = [service.name for service in SERVICES]
TOGETHER = [NAMES]
APART = [[name] for name in NAMES]


async def test_syndromic_messages_end_as_on_the_embedded_log(
    start_outpost: MakeOutpost, broker: str, outside_data: Path
) -> None:
    files = folder(outside_data, "nist-ss")
    ends = []
    for brokers in ("", broker):
        outpost = await start_outpost(brokers=brokers, groups=TOGETHER)
        await walk_syndromic.register_senders(outpost)
        first = await walk_syndromic.post_files(outpost, files, files)
        second = await walk_syndromic.post_files(outpost, files, files)
        assert first.replies == second.replies
        codes = {name: Acknowledgement.read(reply).code for name, reply in first.replies.items()}
        visits = await walk_syndromic.read_visits(outpost)
        ends.append((codes, visits, await read_end_state(outpost)))
    assert len(ends[1][1]) == 4
    assert len(ends[1][2]["signals"]) == 1
    assert ends[0][:2] == ends[1][:2]
    assert differences(ends[0][2], ends[1][2]) == []


async def test_laboratory_reports_end_as_on_the_embedded_log(
    start_outpost: MakeOutpost, broker: str, outside_data: Path
) -> None:
    files = folder(outside_data, "cdc-elr")
    ends = []
    for brokers in ("", broker):
        outpost = await start_outpost(brokers=brokers, groups=TOGETHER)
        await walk_laboratory.register_laboratories(outpost)
        await walk_laboratory.post_reports(outpost, files, files)
        ends.append(await read_end_state(outpost))
    assert len(ends[1]["cases"]) == 3
    assert differences(*ends) == []


async def test_the_outbreak_of_2015_is_imported_twice_and_changes_nothing_then(
    start_outpost: MakeOutpost, broker: str, outside_data: Path
) -> None:
    outpost = await start_outpost(brokers=broker, groups=TOGETHER)
    imported = await walk_outbreak.import_twice(outpost, outside_data)
    assert all(first == second for first, second in imported.replies.values())
    assert differences(imported.first, imported.second) == []
    cases = imported.second["cases"]
    assert len(cases) == 162
    assert sum(case["onset_date"] is None for case in cases) == 27
    (links,) = imported.second["links"]
    assert (links["edges"], links["infectees"]) == (98, 95)
    assert max(top["infectees"] for top in links["top_infectors"]) == 38


async def test_the_whole_chain_at_once_ends_as_in_order_on_the_embedded_log(
    start_outpost: MakeOutpost, broker: str, outside_data: Path
) -> None:
    steps = [*chain.later_registrations(), *chain.facts(outside_data)]
    embedded = await start_outpost(at=chain.NOW)
    await chain.play(embedded, [*chain.first_steps(), *steps])
    expected = await chain.read_both_ends(embedded)
    outpost = await start_outpost(at=chain.NOW, brokers=broker, groups=APART)
    assert outpost.on_kafka
    await chain.play(outpost, chain.first_steps())
    await chain.play_at_once(outpost, steps)
    ends = await chain.read_both_ends(outpost)
    assert differences(expected.before, ends.before) == []
    assert differences(expected.after, ends.after) == []
