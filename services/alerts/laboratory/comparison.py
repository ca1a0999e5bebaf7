"""A set of rules beside the rules in force and beside every single stream, at all thresholds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.alerts.laboratory.backtest import RuleSet, back_test
from services.alerts.laboratory.rating import Rating, together
from services.alerts.laboratory.trial import Trial
from services.alerts.repository.rules import RuleDocument, StoredRule


@dataclass(frozen=True, slots=True)
class Grid:
    """`daily`: p-values of streams that are judged day by day. `factors`: what the rules' own
    thresholds are multiplied by, for their curve and for that of single streams under their terms;
    1 is among them."""

    daily: tuple[float, ...] = (2e-3, 1e-3, 8e-4, 6e-4, 5e-4, 4e-4, 2e-4, 1e-4, 3e-5)
    factors: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0, 5.0, 8.0, 12.0, 16.0, 25.0, 50.0)

    def steps(self, rules: RuleSet, in_force: RuleSet | None) -> int:
        """How many sets of rules are tried."""
        streams = len(_streams(rules)) * (len(self.daily) + len(self.factors))
        return len(self.factors) + streams + (in_force is not None)


WHOLE = Grid()


@dataclass(frozen=True, slots=True)
class Tried:
    """One point of a curve: `name` at one `threshold`."""

    name: str
    threshold: float
    rating: Rating


@dataclass(frozen=True, slots=True)
class Comparison:
    """`own`: the rules with their thresholds moved. `by_day`: streams alone, an alert where the
    day's p-value is low. `by_terms`: streams alone under the rules' own terms, which is as good as
    one stream can be made by them."""

    rules: Rating
    in_force: Rating | None
    own: tuple[Tried, ...]
    by_day: tuple[Tried, ...]
    by_terms: tuple[Tried, ...]


def compare(
    rules: RuleSet,
    in_force: RuleSet | None,
    trials: Sequence[Trial],
    *,
    grid: Grid = WHOLE,
    advance: Callable[[], None] = lambda: None,
) -> Comparison:
    """`advance` is called after each of the grid's steps."""

    def tried(name: str, threshold: float, tested: RuleSet) -> Tried:
        rating = together([back_test(tested, trial) for trial in trials])
        advance()
        return Tried(name, threshold, rating)

    own = tuple(tried(rules.name, factor, scaled(rules, factor)) for factor in grid.factors)
    streams = _streams(rules)
    by_day = tuple(
        tried(kind, threshold, daily(rules, kind, threshold))
        for kind in streams
        for threshold in grid.daily
    )
    by_terms = tuple(
        tried(kind, factor, scaled(narrowed(rules, kind), factor))
        for kind in streams
        for factor in grid.factors
    )
    known = tried(in_force.name, 1.0, in_force).rating if in_force else None
    here = next(one.rating for one in own if one.threshold == 1.0)
    return Comparison(here, known, own, by_day, by_terms)


def best_at(tried: Sequence[Tried], false_rate: float) -> Tried | None:
    """Which finds most outbreaks with no more false alerts than that; None where none is so quiet,
    or there was nothing to find."""
    if not any(one.rating.truths for one in tried):
        return None
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
