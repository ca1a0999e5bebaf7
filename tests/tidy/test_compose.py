"""The compose file is valid, sets only what the code reads, and opens two loopback ports."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from deploy.make_secrets import make_secrets
from tests.tidy.settings import environment_names, literal_names
from tests.tidy.tree import ROOT, SERVICES

COMPOSE = ROOT / "docker-compose.yml"
# Who owns which secret: the vault is intake's alone.
SECRETS = frozenset({"outpost_database_url", "outpost_database_secret", "outpost_session_secret"})
PUBLISHED = {"intake": ["127.0.0.1:8001:8000"], "console": ["127.0.0.1:8000:8000"]}
SETTING = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load(COMPOSE.read_text(encoding="utf-8")))


def _settings(compose: dict[str, Any], service: str) -> dict[str, str]:
    """What a container's process finds in its environment, the later file winning."""
    found: dict[str, str] = {}
    for name in compose["services"][service]["env_file"]:
        found |= dict(SETTING.findall((ROOT / name).read_text(encoding="utf-8")))
    own: dict[str, str] = compose["services"][service].get("environment", {})
    return found | own


def test_compose_file_follows_the_compose_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    result = subprocess.run([*command, str(COMPOSE)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_compose_runs_the_five_services_their_log_and_their_database(
    compose: dict[str, Any],
) -> None:
    assert set(compose["services"]) == {*SERVICES, "postgres", "kafka"}
    for name in SERVICES:
        assert compose["services"][name]["command"] == ["python", "-m", f"services.{name}"]
    assert len({compose["services"][name]["image"] for name in SERVICES}) == 1


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_that_compose_sets_is_one_the_code_reads(
    compose: dict[str, Any], service: str
) -> None:
    known = environment_names("shared", service) | literal_names("shared/settings.py")
    assert sorted(set(_settings(compose, service)) - known) == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_without_a_default_is_set(compose: dict[str, Any], service: str) -> None:
    secrets = {name.upper() for name in compose["services"][service]["secrets"]}
    required = environment_names("shared", service, required_only=True)
    assert sorted(required - secrets - set(_settings(compose, service))) == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_secret_is_a_file_and_none_stands_in_the_environment(
    compose: dict[str, Any], service: str
) -> None:
    given = set(compose["services"][service]["secrets"])
    assert given == SECRETS | ({"outpost_vault_key"} if service == "intake" else set())
    assert _settings(compose, service)["OUTPOST_SECRETS_DIR"] == "/run/secrets"
    assert {name.upper() for name in given} <= environment_names("shared", service)
    assert {name.upper() for name in given} & set(_settings(compose, service)) == set()


@pytest.mark.parametrize("service", SERVICES)
def test_containers_use_the_real_database_and_the_real_log(
    compose: dict[str, Any], service: str
) -> None:
    settings = _settings(compose, service)
    assert settings["OUTPOST_KAFKA_BROKERS"] == "kafka:9092"
    assert "outpost_database_url" in compose["services"][service]["secrets"]
    assert set(compose["services"][service]["depends_on"]) == {"postgres", "kafka"}


def test_nothing_is_exposed_but_two_ports_on_loopback(compose: dict[str, Any]) -> None:
    published = {
        name: service["ports"]
        for name, service in compose["services"].items()
        if "ports" in service
    }
    assert published == PUBLISHED
    assert compose["networks"]["inside"] == {"internal": True}
    outside = {
        name for name, service in compose["services"].items() if "edge" in service["networks"]
    }
    assert outside == set(PUBLISHED)


def test_every_container_has_a_health_check(compose: dict[str, Any]) -> None:
    assert [name for name, one in compose["services"].items() if "healthcheck" not in one] == []
    for name in SERVICES:
        assert "/readyz" in " ".join(compose["services"][name]["healthcheck"]["test"])


def test_what_must_outlive_a_container_lies_in_a_volume(compose: dict[str, Any]) -> None:
    mounted = {
        volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
    }
    assert mounted == set(compose["volumes"]) == {"postgres-data", "kafka-data"}


def test_the_image_runs_unprivileged_from_the_hashed_lock() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    assert "--require-hashes -r /build/runtime.txt" in text
    assert re.search(r"^HEALTHCHECK .*\\\n.*/readyz", text, re.MULTILINE)


def test_secrets_are_made_once_and_for_every_name_compose_asks(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"
    written = make_secrets(folder)
    assert set(written) == set(compose["secrets"]) == {path.name for path in folder.iterdir()}
    first = {path.name: path.read_text() for path in folder.iterdir()}
    assert make_secrets(folder) == []
    assert {path.name: path.read_text() for path in folder.iterdir()} == first
    assert folder.stat().st_mode & 0o777 == 0o700
    assert first["postgres_password"] in first["outpost_database_url"]
    assert len(set(first.values())) == len(first)


def test_secrets_are_never_committed() -> None:
    command = ["git", "check-ignore", "--quiet", "deploy/secrets/outpost_vault_key"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
