"""Tracing's policies: their shape as data, and the figures of the rules made from them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import Row, select

from services.tracing.domain.exposure import ExposureRule, StayRule
from services.tracing.domain.window import WindowRule
from services.tracing.tables import standard
from shared.policy import (
    PolicyDocument,
    PolicyInForce,
    PolicyKind,
    PolicyQuestion,
    Reader,
    policies_in_force,
)


class Part(BaseModel):
    """A piece of a document; unknown parameters are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PlaceRule(Part):
    """`minimum_minutes` of overlap that count; `default_dwell_minutes` where no departure is
    known."""

    minimum_minutes: float = Field(ge=0)
    default_dwell_minutes: float = Field(gt=0)

    @property
    def stay(self) -> StayRule:
        return StayRule(self.minimum_minutes * 60, self.default_dwell_minutes * 60)


class GroupRule(Part):
    """Being members of one group at once counts from `minimum_minutes` on."""

    minimum_minutes: float = Field(ge=0)

    @property
    def stay(self) -> StayRule:
        return StayRule(self.minimum_minutes * 60)


class CloseRule(Part):
    """What makes a person exposed."""

    place_kinds: dict[str, PlaceRule]
    other_places: PlaceRule
    group_kinds: dict[str, GroupRule]
    other_groups: GroupRule | None = Field(description="null: groups of other kinds do not count")
    encounter_minutes_in_24h: float = Field(gt=0)
    dated_links_count: bool


class SecondDegreeRule(Part):
    """Whether contacts of contacts are sought, and how long past the case's window."""

    sought: bool
    days_after_window: int = Field(ge=0)


class WindowsDocument(PolicyDocument):
    """`tracing.windows`: a disease's infectious window and what counts as exposure in it."""

    days_before_onset: int = Field(ge=0)
    days_after_onset: int = Field(ge=0)
    onset_fallbacks: tuple[Literal["specimen_collected", "diagnosed", "reported"], ...]
    zone_without_area: str = Field(description="IANA zone of days where the area is not known")
    close: CloseRule
    contact_of_contact: SecondDegreeRule

    @field_validator("zone_without_area")
    @classmethod
    def zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError) as error:
            raise ValueError("an IANA time zone such as Asia/Shanghai is expected") from error
        return name

    @property
    def window(self) -> WindowRule:
        return WindowRule(
            days_before=self.days_before_onset,
            days_after=self.days_after_onset,
            fallbacks=self.onset_fallbacks,
            second_degree_days=self.contact_of_contact.days_after_window,
        )

    @property
    def exposure(self) -> ExposureRule:
        close = self.close
        return ExposureRule(
            place_kinds={kind: rule.stay for kind, rule in close.place_kinds.items()},
            other_places=close.other_places.stay,
            group_kinds={kind: rule.stay for kind, rule in close.group_kinds.items()},
            other_groups=close.other_groups.stay if close.other_groups else None,
            encounter_seconds=close.encounter_minutes_in_24h * 60,
            links_count=close.dated_links_count,
        )


WINDOWS = PolicyKind("tracing.windows", WindowsDocument)
KINDS = (WINDOWS,)


async def windows_in_force(
    reader: Reader, *, at: datetime, disease: str, area_id: str | None
) -> PolicyInForce[WindowsDocument] | None:
    """The document for a case that came to be `at`; None when no policy covers that day."""
    question = PolicyQuestion(WINDOWS.name, at, disease, area_id)
    found = await policies_in_force(reader, standard, WindowsDocument, question)
    return found[0] if found else None


async def zone_of_area(reader: Reader, area_id: str | None) -> ZoneInfo | None:
    """The zone of an area we have heard of."""
    area = standard.area
    row = (await reader.execute(select(area.c.zone).where(area.c.area_id == area_id))).first()
    return ZoneInfo(row.zone) if row else None


async def windows_named(reader: Reader, name: str) -> PolicyInForce[WindowsDocument] | None:
    """A stored version by its name `id@version`, in force or not."""
    policy = standard.policy
    policy_id, _, version = name.rpartition("@")
    if not version.isdecimal() or len(version) > 9:
        return None
    row = (
        await reader.execute(
            select(policy.c.document).where(
                policy.c.kind == WINDOWS.name,
                policy.c.id == policy_id,
                policy.c.version == int(version),
            )
        )
    ).first()
    if row is None:
        return None
    return PolicyInForce(policy_id, int(version), WindowsDocument.model_validate(row.document))


async def list_windows(reader: Reader) -> Sequence[Row[Any]]:
    """Every version of every policy of windows, in force or not."""
    policy = standard.policy
    query = select(policy).where(policy.c.kind == WINDOWS.name)
    return (await reader.execute(query.order_by(policy.c.id, policy.c.version))).all()
