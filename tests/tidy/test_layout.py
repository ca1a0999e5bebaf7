"""Every service has the same rooms: a missing one and a foreign one both fail."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.tidy.tree import ROOT, SERVICES

FILES = frozenset({"__init__", "__main__", "app", "consumers", "timers", "settings", "errors"})
# One small file, or a folder with one noun per file.
FILE_OR_FOLDER = frozenset({"api", "schemas", "handlers", "repository", "tables", "domain"})
FOLDERS = frozenset({"presets", "migrations"})
# Rooms that one service has and others need not: what a set of rules would have found.
OWN_ROOMS = {"alerts": frozenset({"laboratory"})}
# Beside the five: what an operator types, and the generated town. Both are handed the services
# (an import contract keeps them from reaching for one).
HOUSE = frozenset({*SERVICES, "__init__.py", "__main__.py", "commands", "demo"})


def _room_findings(service: Path) -> list[str]:
    present = {path.name for path in service.iterdir() if path.name != "__pycache__"}
    expected: set[str] = {f"{name}.py" for name in FILES} | FOLDERS
    expected |= OWN_ROOMS.get(service.name, frozenset())
    findings = []
    for name in sorted(FILE_OR_FOLDER):
        forms = {name, f"{name}.py"} & present
        if len(forms) > 1:
            findings.append(f"{service.name}: both {name}.py and {name}/")
        expected |= forms or {name}
    findings += [f"{service.name}: {name} is missing" for name in sorted(expected - present)]
    findings += [f"{service.name}: {name} is foreign" for name in sorted(present - expected)]
    for folder in sorted(FILE_OR_FOLDER & present):
        if not (service / folder / "__init__.py").is_file():
            findings.append(f"{service.name}: {folder}/ has no __init__.py")
    return findings


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_the_same_rooms(name: str) -> None:
    assert _room_findings(ROOT / "services" / name) == []


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_says_what_it_hears_decides_and_says(name: str) -> None:
    text = (ROOT / "services" / name / "__init__.py").read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text)) or ""
    missing = [word for word in ("hears", "decides", "says") if word not in docstring.lower()]
    assert missing == []


def test_nothing_but_services_lives_among_the_services() -> None:
    present = {path.name for path in (ROOT / "services").iterdir()} - {"__pycache__"}
    assert present == HOUSE


def test_a_missing_and_a_foreign_room_are_found(tmp_path: Path) -> None:
    service = tmp_path / "bakery"
    service.mkdir()
    for name in FILES - {"timers"}:
        (service / f"{name}.py").touch()
    for name in FILE_OR_FOLDER - {"domain"}:
        (service / f"{name}.py").touch()
    for name in FOLDERS | {"domain"}:
        (service / name).mkdir()
    (service / "utils.py").touch()
    assert _room_findings(service) == [
        "bakery: timers.py is missing",
        "bakery: utils.py is foreign",
        "bakery: domain/ has no __init__.py",
    ]
