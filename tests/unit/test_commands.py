"""The operator's commands refuse what could have no effect, before they touch a database."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from services.__main__ import SERVICES, main
from services.commands.keys import permissions_of


@pytest.mark.parametrize("scope", ["scan.write", "nonsense"])
def test_a_key_with_a_scope_that_no_route_asks_for_is_not_issued(scope: str) -> None:
    given = ["keys", "issue", "gate-app", "--scope", "scans.write", "--scope", scope]
    told = CliRunner().invoke(main, given)
    assert told.exit_code == 1
    assert f"no scope {scope}" in told.output
    assert "scans.write" in told.output


def test_every_scope_of_the_users_pages_is_known() -> None:
    known = permissions_of(SERVICES)
    assert {"scans.write", "hl7v2.write", "encounters.write", "messages.read"} <= known
    assert {"memberships.write", "reports.write", "results.write", "findings.read"} <= known


def test_letters_of_a_service_that_does_not_exist_are_not_replayed() -> None:
    told = CliRunner().invoke(main, ["letters", "replay", "tracking"])
    assert told.exit_code == 2
    assert "'tracing'" in told.output
