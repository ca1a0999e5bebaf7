"""Every setting, topic and metric is explained to the people who run Outpost."""

from __future__ import annotations

import re

import pytest
from prometheus_client import Metric

from shared.events.topics import TOPICS
from shared.metrics import REGISTRY
from tests.tidy.settings import environment_names, literal_names
from tests.tidy.tree import ROOT, SERVICES

OPERATIONS = ROOT / "docs" / "operations.md"
VARIABLE = re.compile(r"\bOUTPOST_[A-Z0-9_]*[A-Z0-9]\b")


def _read_names() -> set[str]:
    return environment_names() | literal_names("shared/settings.py")


def _missing(names: set[str], text: str) -> list[str]:
    """Whole names only: `outpost_rows` is not explained by `outpost_rows_total_by_day`."""
    return sorted(
        name for name in names if not re.search(rf"(?<![\w.]){re.escape(name)}(?![\w])", text)
    )


def _metric_names() -> set[str]:
    """Names as they stand on `/metrics`, before the suffixes of samples."""
    metrics: list[Metric] = list(REGISTRY.collect())
    return {
        f"{metric.name}_total" if metric.type == "counter" else metric.name for metric in metrics
    }


@pytest.fixture(scope="module")
def operations() -> str:
    return OPERATIONS.read_text(encoding="utf-8")


def _environment_files() -> dict[str, str]:
    return {
        path.stem: path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "deploy" / "env").glob("*.env"))
    }


def test_every_service_has_its_environment_file() -> None:
    assert set(_environment_files()) == {"common", *SERVICES}


def test_every_setting_stands_in_an_environment_file() -> None:
    assert _missing(_read_names(), "\n".join(_environment_files().values())) == []


def test_environment_files_name_no_setting_that_nobody_reads() -> None:
    for owner, text in _environment_files().items():
        owners = ("shared",) if owner == "common" else ("shared", owner)
        known = environment_names(*owners) | literal_names("shared/settings.py")
        assert sorted(set(VARIABLE.findall(text)) - known) == [], f"deploy/env/{owner}.env"


def test_every_setting_is_explained(operations: str) -> None:
    assert _missing(_read_names(), operations) == []


def test_operations_explains_no_setting_that_nobody_reads(operations: str) -> None:
    assert sorted(set(VARIABLE.findall(operations)) - _read_names()) == []


def test_every_topic_is_explained(operations: str) -> None:
    assert _missing(set(TOPICS), operations) == []


def test_every_metric_is_explained(operations: str) -> None:
    assert _missing(_metric_names(), operations) == []


def test_a_name_hidden_in_a_longer_one_counts_as_missing() -> None:
    names = {"outpost_rows_total", "intake.scan.v1"}
    assert _missing(names, "outpost_rows_total_by_day and intake.scan.v12") == sorted(names)
    assert _missing(names, "`outpost_rows_total`, intake.scan.v1.") == []
