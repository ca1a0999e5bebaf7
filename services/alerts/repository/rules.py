"""Trigger rules as they stand in the policy table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator
from sqlalchemy import select

from services.alerts.domain.areas import Line
from services.alerts.domain.evaluation import RuleBook
from services.alerts.domain.rules import (
    AreaOf,
    Combination,
    ConsensusTerms,
    KindTerms,
    Level,
    LitBy,
    Reach,
    Rule,
)
from services.alerts.tables import standard
from shared.policy import PolicyDocument, PolicyKind, Reader

AreaLevel = Literal["country", "province", "prefecture", "county", "township", "village", "grid"]


Share = Annotated[float, Field(gt=0, le=1)]


class KindDocument(PolicyDocument):
    """What one kind of point needs under a rule; what is left out is as the rule says for all."""

    lit_by: LitBy | None = None
    p_below: Share | None = None
    weight: float = Field(default=1.0, ge=0)
    syndromes: tuple[str, ...] = Field(default=(), description="none named: all that are counted")


class ConsensusDocument(PolicyDocument):
    """The streams of the area must agree on some day of the window: their combined p-value,
    calibrated on the area's own past and adjusted across areas, is at most `p_below`."""

    method: Combination
    p_below: Share
    weights: dict[str, float] = Field(default={}, description="of stouffer, by kind of point")
    across_areas: bool = True
    null_days: int = Field(default=365, ge=14, le=1100)
    null_min_days: int = Field(default=56, ge=14)
    null_gap_days: int = Field(default=7, ge=1, le=60)
    null_spread_min: float = Field(default=1.0, gt=0)
    days: int = Field(default=1, ge=1, le=28, description="taken together, up to the day")
    against_city: bool = Field(
        default=False, description="take off each day's median over all areas of the level"
    )


class RuleDocument(PolicyDocument):
    """A trigger rule: at least `min_points` different points of at least `min_kinds` of the stated
    kinds, resting on at least `min_persons` different persons of `min_households` households,
    within `window_hours` of event time, in one area of `area_level` and what it reaches.

    What came after the first rules has a default under which those mean what they always meant."""

    title_zh: str
    title_en: str
    level: Level
    point_kinds: tuple[str, ...] = Field(min_length=1)
    min_points: int = Field(ge=1)
    min_kinds: int = Field(ge=1)
    min_persons: int = Field(ge=0)
    count_unlinked: bool = Field(
        description="whether persons behind reports that name nobody count towards min_persons"
    )
    window_hours: float = Field(ge=0, description="0: each event stands alone")
    # These hold for all versions of a rule: the highest active one counts.
    area_level: AreaLevel
    area_of: AreaOf
    reach: Reach = Field(
        default="area",
        description="neighbours: also points of areas that border on it; parent: of its parent",
    )
    quiet_hours: float | None = Field(
        default=None, ge=0, description="after so long without evidence an alert ends by itself"
    )
    min_own_points: int = Field(default=1, ge=1, description="of the points, in the area itself")
    min_households: int = Field(default=0, ge=0)
    min_weight: float = Field(default=0.0, ge=0, description="sum of the weights of the points")
    lit_by: LitBy = Field(default="event", description="what lights a point: one event, or excess")
    p_below: Share | None = Field(
        default=None, description="of excess; none: above the limit of the method that judged it"
    )
    kinds: dict[str, KindDocument] = Field(default={}, description="terms of single kinds")
    consensus: ConsensusDocument | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if set(self.kinds) - set(self.point_kinds):
            raise ValueError("kinds names a kind that point_kinds does not")
        if self.quiet_hours is not None and self.quiet_hours < self.window_hours:
            raise ValueError("quiet_hours is shorter than the window")
        if self.consensus is not None and not self.excess_kinds:
            raise ValueError("a consensus needs kinds that are lit by excess")
        return self

    @property
    def excess_kinds(self) -> frozenset[str]:
        """The kinds that light up by excess."""
        return frozenset(k for k in self.point_kinds if self.terms_of(k).lit_by == "excess")

    def terms_of(self, point_kind: str) -> KindTerms:
        one = self.kinds.get(point_kind, KindDocument())
        return KindTerms(
            weight=one.weight,
            lit_by=one.lit_by or self.lit_by,
            p_below=one.p_below if one.p_below is not None else self.p_below,
            syndromes=frozenset(one.syndromes),
        )


RULE = PolicyKind("alerts.rule", RuleDocument)


@dataclass(frozen=True, slots=True)
class StoredRule:
    """One active version with its dates and scope."""

    id: str
    version: int
    document: RuleDocument
    valid_from: date
    valid_to: date | None
    area_id: str | None
    source: str
    author: str

    def in_zone(self, zone: str) -> Rule:
        """The rule with its days read in an area's zone."""
        document = self.document
        return Rule(
            id=self.id,
            version=self.version,
            title_zh=document.title_zh,
            title_en=document.title_en,
            level=document.level,
            point_kinds=frozenset(document.point_kinds),
            min_points=document.min_points,
            min_kinds=document.min_kinds,
            min_persons=document.min_persons,
            count_unlinked=document.count_unlinked,
            window=timedelta(hours=document.window_hours),
            from_at=_start_of(self.valid_from, zone),
            until_at=_start_of(self.valid_to + timedelta(days=1), zone) if self.valid_to else None,
            min_households=document.min_households,
            min_own_points=document.min_own_points,
            min_weight=document.min_weight,
            kinds={kind: document.terms_of(kind) for kind in document.point_kinds},
            reach=document.reach,
            quiet=None if document.quiet_hours is None else timedelta(hours=document.quiet_hours),
            consensus=_consensus(document.consensus),
        )


def _consensus(document: ConsensusDocument | None) -> ConsensusTerms | None:
    return ConsensusTerms(**document.model_dump()) if document else None


def book_of(stored: Sequence[StoredRule]) -> RuleBook:
    """All active versions of one rule as the evaluation reads them; an area of another zone reads
    their days in its own."""
    known: dict[tuple[str, tuple[int, ...]], tuple[Rule, ...]] = {}

    def versions(line: Line) -> tuple[Rule, ...]:
        here = [one for one in stored if one.area_id is None or one.area_id in line.area_ids]
        key = (line.zone, tuple(one.version for one in here))
        if key not in known:
            known[key] = tuple(one.in_zone(line.zone) for one in here)
        return known[key]

    scope = stored[-1].document
    return RuleBook(stored[-1].id, scope.area_level, scope.area_of, versions)


async def active_rules(reader: Reader) -> list[StoredRule]:
    """Every active version of every rule, in order of id and version."""
    policy = standard.policy
    rows = await reader.execute(
        select(policy)
        .where(policy.c.kind == RULE.name, policy.c.state == "active")
        .order_by(policy.c.id, policy.c.version)
    )
    return [
        StoredRule(
            row.id,
            row.version,
            RuleDocument.model_validate(row.document),
            row.valid_from,
            row.valid_to,
            row.area_id,
            row.source,
            row.author,
        )
        for row in rows
    ]


def versions_by_id(rules: Sequence[StoredRule]) -> dict[str, list[StoredRule]]:
    found: dict[str, list[StoredRule]] = {}
    for rule in rules:
        found.setdefault(rule.id, []).append(rule)
    return found


def _start_of(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone))
