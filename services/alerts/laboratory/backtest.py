"""Rules over a trial, by the evaluation that the live path runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from services.alerts.domain.evaluation import Found, evaluate
from services.alerts.laboratory.rating import Alarm, Rating, rate
from services.alerts.laboratory.trial import NULL_DAYS, WINDOW_DAYS, ZONE_AHEAD, Trial
from services.alerts.repository.rules import RULE, RuleDocument, StoredRule, book_of

PRESETS = Path(__file__).parents[1] / "presets"


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules that are tried together, each with all its versions."""

    name: str
    rules: tuple[tuple[StoredRule, ...], ...]

    @property
    def levels(self) -> frozenset[str]:
        """The levels at which they judge."""
        return frozenset(one.document.area_level for rule in self.rules for one in rule)

    @property
    def days_before(self) -> int:
        """Days before the scored ones that are judged too: windows and calibration rest on them."""
        terms = [one.document.consensus for rule in self.rules for one in rule]
        calibrated = any(one is not None and one.null_min_days <= NULL_DAYS for one in terms)
        return NULL_DAYS if calibrated else WINDOW_DAYS


def read_rules(file: Path) -> RuleSet:
    """A file of one or more YAML documents as they stand in presets (id, version, document …)."""
    stored: dict[str, list[StoredRule]] = {}
    for content in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        rule = stored_rule(content)
        stored.setdefault(rule.id, []).append(rule)
    return RuleSet(file.stem, tuple(tuple(versions) for versions in stored.values()))


def stored_rule(content: Mapping[str, Any]) -> StoredRule:
    return StoredRule(
        id=content["id"],
        version=content["version"],
        document=RuleDocument.model_validate(content["document"]),
        valid_from=content.get("valid_from", date(2009, 1, 1)),
        valid_to=content.get("valid_to"),
        area_id=content.get("area_id"),
        source=content.get("source", ""),
        author=content.get("author", ""),
    )


def shipped_rules() -> RuleSet:
    """The rules that a new installation begins with."""
    stored: dict[str, list[StoredRule]] = {}
    for file in sorted(PRESETS.glob("*.yaml")):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        if content.get("kind") == RULE.name:
            stored.setdefault(content["id"], []).append(stored_rule(content))
    return RuleSet("shipped", tuple(tuple(versions) for versions in stored.values()))


def found_by(rules: RuleSet, trial: Trial) -> Iterator[Found]:
    for versions in rules.rules:
        yield from evaluate(book_of(versions), trial.city, trial.tree)


def alarms_of(rules: RuleSet, trial: Trial) -> list[Alarm]:
    """In local days. A day's excess is known `age` days later; so is its alert."""
    alarms = []
    for found in found_by(rules, trial):
        opened = (found.held_at + ZONE_AHEAD).date().toordinal() + trial.age
        until = (found.last_at + ZONE_AHEAD).date().toordinal() + trial.age
        terms = [found.rule.terms_of(kind).syndromes for kind in found.rule.point_kinds]
        syndromes = frozenset[str]().union(*terms) if all(terms) else frozenset[str]()
        alarms.append(Alarm(found.rule.name, found.area_id, syndromes, opened, until))
    return alarms


def back_test(rules: RuleSet, trial: Trial) -> Rating:
    return rate(trial, alarms_of(rules, trial))
