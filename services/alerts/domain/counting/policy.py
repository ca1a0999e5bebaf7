"""How counts are measured and judged: the parameters, which stand in versioned presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from services.alerts.domain.counting.calendar import DayType

# What a count is measured against. `sites`: those that spoke that day, each by its usual size.
# `seen`: everybody whom they looked at (visits, scans, tests). `none`: nothing.
Denominator = Literal["sites", "seen", "none"]


@dataclass(frozen=True, slots=True)
class Prior:
    """What is taken for a day of one type before any was seen, in shares of a mean day; it weighs
    as much as `days` mean days."""

    share: float
    days: float


@dataclass(frozen=True, slots=True)
class KindPolicy:
    """One point kind. `school`: it follows the terms. `cases` within `days` are an excess of what
    is too rare to be modelled; `always_fixed`: this kind is never modelled."""

    denominator: Denominator
    syndromes: tuple[str, ...]
    school: bool = False
    cases: int = 3
    days: int = 1
    always_fixed: bool = False


@dataclass(frozen=True, slots=True)
class Detection:
    """One version of the policy `alerts.detection`.

    `alpha`: the limit is the count that chance exceeds with this probability. Farrington from
    `farrington_years_least` years on and with at most `farrington_years_most`; ESSENCE from
    `essence_days_least` known days; EARS C2 before. Rare: fewer than `rare_cases` in the last
    `rare_days` known days. `sites`' sizes are learnt from `size_days`, and before a site has spoken
    they are a gamma distribution of the shape `size_shape` around their kind's mean. A day of which
    less than `known_share` of the usual denominator is known is not learnt from.
    """

    name: str
    kinds: Mapping[str, KindPolicy]
    alpha: float = 0.01
    farrington_years_least: int = 3
    farrington_years_most: int = 5
    essence_days_least: int = 42
    rare_cases: int = 5
    rare_days: int = 28
    rare_history_days: int = 364
    size_days: int = 364
    size_shape: float = 0.5
    known_share: float = 0.3
    delay_days_most: int = 14
    priors: Mapping[DayType, Prior] = field(default_factory=dict)
