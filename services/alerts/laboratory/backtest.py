"""Rules over a trial, by the evaluation that the live path runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from services.alerts.domain.evaluation import Found, evaluate
from services.alerts.laboratory.generated.parameters import KINDS, syndromes
from services.alerts.laboratory.rating import Alarm, Rating, rate
from services.alerts.laboratory.trial import ZONE_AHEAD, Trial
from services.alerts.repository.rules import RuleDocument, StoredRule, book_of

# Of single streams: p-values from one false alert a day and county to one in years.
THRESHOLDS = tuple(10.0 ** -(step / 4.0) for step in range(4, 29))


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules that are tried together, each with all its versions."""

    name: str
    rules: tuple[tuple[StoredRule, ...], ...]


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


@dataclass(frozen=True, slots=True)
class Tried:
    """One point of a curve: a set of rules at one threshold."""

    name: str
    threshold: float
    rating: Rating


def single_stream(kind: str, level: str, threshold: float) -> RuleSet:
    """One kind of point alone, each syndrome by itself: an alert where its p-value is low."""
    return RuleSet(
        f"{kind} by {level}",
        tuple(
            (
                stored_rule(
                    {
                        "id": f"{kind}_{syndrome}",
                        "version": 1,
                        "document": {
                            "title_zh": "单一来源",
                            "title_en": "One stream",
                            "level": "blue",
                            "point_kinds": [kind],
                            "min_points": 1,
                            "min_kinds": 1,
                            "min_persons": 1,
                            "count_unlinked": True,
                            "window_hours": 0,
                            "quiet_hours": 168,
                            "area_level": level,
                            "area_of": "place",
                            "lit_by": "excess",
                            "kinds": {kind: {"p_below": threshold, "syndromes": [syndrome]}},
                        },
                    }
                ),
            )
            for syndrome in syndromes()
        ),
    )


def stream_curves(
    trials: Sequence[Trial],
    combine: Callable[[Sequence[Rating]], Rating],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    advance: Callable[[], None] = lambda: None,
) -> list[Tried]:
    """Every single stream at townships and at counties, over all thresholds."""
    tried = []
    for kind in KINDS:
        for level in ("township", "county"):
            for threshold in thresholds:
                rules = single_stream(kind, level, threshold)
                rating = combine([back_test(rules, trial) for trial in trials])
                tried.append(Tried(rules.name, threshold, rating))
                advance()
    return tried


def best_at(tried: Sequence[Tried], false_rate: float) -> Tried | None:
    """Which finds most outbreaks with no more false alerts than that."""
    quiet = [one for one in tried if one.rating.false_rate.value <= false_rate]
    return max(quiet, key=lambda one: float(one.rating.found.mean()), default=None)
