"""Questions as the HTTP door takes them, and their answers."""

from __future__ import annotations

from datetime import date
from typing import Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from services.tracing.domain.exposure import Exposed
from services.tracing.domain.surprise import SharedPlace
from services.tracing.schemas.cases import EvidenceShown, ReasonShown
from shared.bounds import Moment, PlainText


class WindowChecked(BaseModel):
    """A time that has a length, where both of its ends are named."""

    model_config = ConfigDict(extra="forbid")

    from_at: Moment | None = None
    until_at: Moment | None = None

    @model_validator(mode="after")
    def has_a_length(self) -> Self:
        if self.from_at is not None and self.until_at is not None and self.from_at >= self.until_at:
            raise ValueError("from_at must be before until_at")
        return self


class PageAsked(WindowChecked):
    """What every question for a page of persons may say. Rules are a rule set, as id@version;
    `known_at` asks for what was known then."""

    rules: PlainText | None = Field(default=None, max_length=200)
    known_at: Moment | None = None
    engine: Literal["any", "sql", "city"] = "any"
    page: int = Field(default=1, ge=1, le=1_000_000)
    page_size: int = Field(default=50, ge=1, le=1000)

    @property
    def skipped(self) -> int:
        return (self.page - 1) * self.page_size


class CaseExposuresAsked(PageAsked):
    """Empty: the case's own window and rules."""

    degree: Literal["close_contact", "contact_of_contact"] = "close_contact"


class TimeAsked(PageAsked):
    """A disease, whose rules count, and a time."""

    disease: str = Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$")
    from_at: Moment
    until_at: Moment


class PersonExposuresAsked(TimeAsked):
    """Forward: whom the person exposed. Backward: who may have exposed the person."""

    direction: Literal["forward", "backward"] = "forward"


class ChainAsked(WindowChecked):
    """From whom to whom, and how many steps at most."""

    from_person_id: UUID
    to_person_id: UUID
    disease: str = Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$")
    from_at: Moment
    until_at: Moment
    rules: PlainText | None = Field(default=None, max_length=200)
    engine: Literal["any", "sql", "city"] = "any"
    steps_most: int = Field(default=4, ge=1, le=6)


class RuleSetShown(BaseModel):
    """A version of a policy of windows, to be named as `rules`."""

    rules: str
    disease: str | None
    area_id: str | None
    valid_from: date
    valid_to: date | None
    state: str
    source: str


class RuleSetsShown(BaseModel):
    rule_sets: list[RuleSetShown]


class ExposedShown(BaseModel):
    """`via_person_id` is who exposed this person first; reasons and evidence are of those two."""

    person_id: UUID
    via_person_id: UUID
    first_at: AwareDatetime
    last_at: AwareDatetime
    minutes: float
    reasons: list[ReasonShown]
    evidence: list[EvidenceShown]


class WindowAsked(BaseModel):
    """From (inclusive) to until (exclusive)."""

    from_at: AwareDatetime
    until_at: AwareDatetime


class ExposuresShown(BaseModel):
    """A page of exposed persons. `engine` names what answered, `rules` the rule set, `pairs` how
    many meetings count in all."""

    engine: Literal["sql", "city"]
    rules: str
    window: WindowAsked
    known_at: AwareDatetime | None
    total: int
    pairs: int
    page: int
    page_size: int
    exposures: list[ExposedShown]


class CaseExposuresShown(ExposuresShown):
    """`close_contacts` counts the first degree, whichever was asked for."""

    case_id: UUID
    person_id: UUID
    degree: str
    close_contacts: int
    window_basis: str
    window_date: date


class CasesAsked(PageAsked):
    """Up to a thousand cases at once; without window each counts in its own."""

    case_ids: list[UUID] = Field(min_length=1, max_length=1000)


class SharedPlacesAsked(WindowChecked):
    """Where at least `at_least` of these cases were."""

    case_ids: list[UUID] = Field(min_length=2, max_length=1000)
    at_least: int = Field(default=2, ge=2, le=1000)
    rules: PlainText | None = Field(default=None, max_length=200)
    places_most: int = Field(default=50, ge=1, le=500)


class SharedPlaceShown(BaseModel):
    """`surprise` is -log10 of the chance that so many of the cases are among the `visitors`."""

    place_id: UUID
    kind: str
    area_id: str | None
    person_ids: list[UUID]
    first_at: AwareDatetime
    last_at: AwareDatetime
    visitors: int
    surprise: float


class SharedPlacesShown(BaseModel):
    """`total` places have enough cases; `not_shown` of them were cut off, `not_compared` of those
    were never looked at for their visitors."""

    total: int
    not_shown: int
    not_compared: int
    cases: int
    places: list[SharedPlaceShown]


class ChainShown(BaseModel):
    """`steps` is empty when there is no chain within `steps_most`; `not_followed` persons were
    reached, but too many to be asked about."""

    from_person_id: UUID
    to_person_id: UUID
    rules: str
    window: WindowAsked
    steps: list[ExposedShown]
    reached: int
    not_followed: int


def show_exposed(one: Exposed) -> ExposedShown:
    return ExposedShown(
        person_id=one.person_id,
        via_person_id=one.via_person_id,
        first_at=one.first_at,
        last_at=one.last_at,
        minutes=one.minutes,
        reasons=[ReasonShown(**reason.model_dump()) for reason in one.reasons],
        evidence=[EvidenceShown(**item.model_dump()) for item in one.evidence],
    )


def show_place(place: SharedPlace) -> SharedPlaceShown:
    return SharedPlaceShown(
        **{
            name: getattr(place, name)
            for name in SharedPlaceShown.model_fields
            if name != "surprise"
        },
        surprise=round(place.surprise, 3),
    )
