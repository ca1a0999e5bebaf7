"""A set of rules beside the rules in force and beside every single stream, at all thresholds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.alerts.laboratory.backtest import RuleSet, back_test
from services.alerts.laboratory.rating import Rating, together
from services.alerts.laboratory.trial import Trial
from services.alerts.repository.rules import RuleDocument, StoredRule

# p-values of a stream that is judged day by day; and what the rules' own thresholds are multiplied
# by, for their curve and for that of single streams under their terms.
@dataclass(frozen=True, slots=True)
class Grid:
    """`factors` hold 1, the rules as they are."""

    daily: tuple[float, ...] = (0.02, 0.01, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 3e-5)
    factors: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)

    def best_at(tried: Sequence[Tried], false_rate: float) -> Tried | None:
    """Which finds most outbreaks with no more false alerts than that."""
    quiet = [one for one in tried if one.rating.false_rate.value <= false_rate]
    return max(quiet, key=lambda one: float(one.rating.found.mean()), default=None)


def scaled(rules: RuleSet, factor: float) -> RuleSet:
    """Every threshold of excess and of consensus times the factor."""

    def change(document: dict[str, Any]) -> None:
        if document["consensus"]:
            document["consensus"]["p_below"] = min(document["consensus"]["p_below"] * factor, 1.0)
            return
        for terms in (document, *document["kinds"].values()):
            if terms["p_below"] is not None:
                terms["p_below"] = min(terms["p_below"] * factor, 1.0)

    return rules if factor == 1.0 else _changed(rules, change)


def narrowed(rules: RuleSet, kind: str) -> RuleSet:
    """The same rules with one kind of point alone."""

    def change(document: dict[str, Any]) -> None:
        document["point_kinds"] = [kind]
        document["kinds"] = {one: terms for one, terms in document["kinds"].items() if one == kind}
        document |= {"min_points": 1, "min_kinds": 1, "min_persons": 1, "min_weight": 0.0}
        document |= {"min_households": 0}

    return _changed(replace(rules, rules=tuple(_about(rules, kind))), change)


def daily(rules: RuleSet, kind: str, threshold: float) -> RuleSet:
    """An alert where the stream's p-value of a day is low, in the areas of the rules and for their
    syndromes."""

    def change(document: dict[str, Any]) -> None:
        terms = document["kinds"].get(kind, {})
        document["kinds"] = {kind: terms | {"lit_by": "excess", "p_below": threshold}}
        document["consensus"] = None
        document["window_hours"] = 0

    return _changed(narrowed(rules, kind), change)


def _streams(rules: RuleSet) -> list[str]:
    """Kinds that some rule reads by excess."""
    kinds = {
        kind for versions in rules.rules for one in versions for kind in one.document.excess_kinds
    }
    return sorted(kinds)


def _about(rules: RuleSet, kind: str) -> Iterator[tuple[StoredRule, ...]]:
    for versions in rules.rules:
        mine = tuple(one for one in versions if kind in one.document.excess_kinds)
        if mine:
            yield mine


def _changed(rules: RuleSet, change: Callable[[dict[str, Any]], None]) -> RuleSet:
    def changed(stored: StoredRule) -> StoredRule:
        document = stored.document.model_dump()
        change(document)
        return replace(stored, document=RuleDocument.model_validate(document))

    return replace(
        rules, rules=tuple(tuple(changed(one) for one in versions) for versions in rules.rules)
    )
