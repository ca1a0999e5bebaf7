"""How surprising it is that so many cases were at one place, seen how many others were there.

If the cases were drawn from all persons, of whom so many visited the place, the number of them that
were there is hypergeometric. The surprise of k is -log10 P(at least k): a school that
five of ten cases visited says much, the station that everybody passes says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import exp, lgamma, log
from uuid import UUID

MOST = 300.0


@dataclass(frozen=True, slots=True)
class SharedPlace:
    """A place, whom of the cases it saw, how many visitors it had, and how surprising that is
    (-log10 of the chance)."""

    place_id: UUID
    kind: str
    area_id: str | None
    person_ids: Sequence[UUID]
    first_at: datetime
    last_at: datetime
    visitors: int
    surprise: float


def surprise(here: int, *, cases: int, visitors: int, persons: int) -> float:
    """-log10 of the chance of `here` or more of the cases at the place; 0 when it is certain."""
    visitors = max(visitors, here)
    persons = max(persons, visitors, cases)
    most = min(cases, visitors)
    if here <= 0 or here <= cases + visitors - persons:
        return 0.0
    logs = [_log_chance(k, cases, visitors, persons) for k in range(here, most + 1)]
    highest = max(logs)
    total = highest + log(sum(exp(one - highest) for one in logs))
    return max(0.0, min(-total / log(10), MOST)) if total < 0 else 0.0


def _log_chance(k: int, cases: int, visitors: int, persons: int) -> float:
    return (
        _log_choose(visitors, k)
        + _log_choose(persons - visitors, cases - k)
        - _log_choose(persons, cases)
    )


def _log_choose(n: int, k: int) -> float:
    if k < 0 or k > n:
        return float("-inf")
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
