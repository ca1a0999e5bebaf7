"""Trigger rules as they stand in the policy table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field
from sqlalchemy import select

from services.alerts.domain.rules import AreaOf, Level, Rule
from services.alerts.tables import standard
from shared.policy import PolicyDocument, PolicyKind, Reader

AreaLevel = Literal["country", "province", "prefecture", "county", "township", "village", "grid"]


class RuleDocument(PolicyDocument):
    """A trigger rule: at least `min_points` different points of at least `min_kinds` of the stated
    kinds, resting on at least `min_persons` different persons, within `window_hours` of event time,
    in one area of `area_level`."""

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
    # These two hold for all versions of a rule: the highest active one counts.
    area_level: AreaLevel
    area_of: AreaOf


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
        )


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
