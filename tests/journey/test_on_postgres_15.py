"""The whole chain on the oldest PostgreSQL we promise, and on the packaged one: the same end."""

from __future__ import annotations

from pathlib import Path

from services.__main__ import SERVICES
from shared.database.embedded import EmbeddedServer
from tests.journey.chain import NOW, facts, first_steps, later_registrations, play, read_both_ends
from tests.journey.conftest import MakeOutpost
from tests.journey.database import copy_template, make_template
from tests.journey.end_state import differences
from tests.journey.harness import embedded_outpost, journey_settings
from tests.service.postgres_versions import DEBIAN_15, require_version


async def test_the_chain_ends_the_same_on_postgresql_15(
    start_outpost: MakeOutpost, outside_data: Path, tmp_path: Path
) -> None:
    packaged = await start_outpost(at=NOW)
    steps = [*first_steps(), *later_registrations(), *facts(outside_data)]
    await play(packaged, steps)
    expected = await read_both_ends(packaged)

    server = await EmbeddedServer.start(tmp_path / "pg15", binaries=require_version(DEBIAN_15))
    try:
        settings = journey_settings(server.admin_url, tmp_path, at=NOW)
        await make_template(server.admin_url, SERVICES, settings)
        url = await copy_template(server.admin_url, "chain_on_15")
        async with embedded_outpost(url, SERVICES, at=NOW) as oldest:
            await play(oldest, steps)
            found = await read_both_ends(oldest)
    finally:
        await server.stop()
    assert differences(expected.before, found.before) == []
    assert differences(expected.after, found.after) == []
