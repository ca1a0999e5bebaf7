"""The rows of our own JSON doors as senders write them; every one becomes a fact of the domain."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from services.intake.domain.facts import (
    LabResult,
    Membership,
    Outcome,
    Proximity,
    Scan,
    SentinelReport,
    Stage,
)
from services.intake.domain.references import PersonReference, PlaceReference
from services.intake.domain.rows import ArrivedRow, field_problems
from services.intake.settings import ROWS_MAX
from shared.bounds import CalendarDay, check_year
from shared.errors import BadRequest, TooLarge

# PostgreSQL keeps no NUL, and nobody's id has a line break in it.
Code = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
# Wider than life, so that a thermometer out in the cold is kept; beyond it the unit is wrong.
Celsius = Annotated[float, Field(ge=20, le=46)]


# Without an offset it takes the source's zone.
Moment = Annotated[datetime, AfterValidator(check_year)]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class PersonIn(Shape):
    """`{"person_id": …}` or `{"scheme": …, "value": …}`."""

    person_id: UUID | None = None
    scheme: Code | None = None
    value: Code | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _one_of_both(self) -> PersonIn:
        whole = self.scheme is not None and self.value is not None
        half = (self.scheme is None) != (self.value is None)
        if half or whole == (self.person_id is not None):
            raise ValueError("either person_id, or scheme and value")
        return self

    def read(self) -> PersonReference:
        if self.person_id is not None:
            return PersonReference(self.person_id)
        return PersonReference(None, self.scheme or "", self.value or "")


class PlaceIn(Shape):
    """`{"place_id": …}` or `{"code": …}`."""

    place_id: UUID | None = None
    code: Code | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> PlaceIn:
        if (self.place_id is None) == (self.code is None):
            raise ValueError("either place_id or code")
        return self

    def read(self) -> PlaceReference:
        return PlaceReference(self.place_id, self.code or "")


class RowIn(Shape):
    """What every row carries. `occurred_at` without an offset takes the source's zone."""

    external_id: Code
    revision: int = Field(default=1, ge=1, le=1_000_000)
    occurred_at: Moment
    withdrawn: bool = False

    @abstractmethod
    def read(self) -> Any:
        """The fact."""

    def _head(self) -> dict[str, Any]:
        return {
            "external_id": self.external_id,
            "revision": self.revision,
            "occurred_at": self.occurred_at,
            "withdrawn": self.withdrawn,
        }


def _person(person: PersonIn | None) -> PersonReference | None:
    return person.read() if person is not None else None


def _place(place: PlaceIn | None) -> PlaceReference | None:
    return place.read() if place is not None else None


class ScanIn(RowIn):
    place: PlaceIn
    person: PersonIn | None = None
    left_at: Moment | None = None
    temperature_c: Celsius | None = None
    permit: Code | None = None

    def read(self) -> Scan:
        return Scan(
            **self._head(),
            place=self.place.read(),
            person=_person(self.person),
            left_at=self.left_at,
            temperature_c=self.temperature_c,
            permit=self.permit,
        )


class ReportIn(RowIn):
    kind: Word
    place: PlaceIn | None = None
    person: PersonIn | None = None
    person_count: int = Field(default=1, ge=0, le=1_000_000)
    until_at: Moment | None = None
    temperature_c: Celsius | None = None
    symptoms: tuple[Annotated[str, Field(max_length=2_000)], ...] = Field(default=(), max_length=50)
    fever: bool | None = None

    @model_validator(mode="after")
    def _one_person_counts_one(self) -> ReportIn:
        if self.person is not None and self.person_count != 1:
            raise ValueError("a report that names its person counts one person")
        return self

    def read(self) -> SentinelReport:
        return SentinelReport(
            **self._head(),
            kind=self.kind,
            place=_place(self.place),
            person=_person(self.person),
            person_count=self.person_count,
            until_at=self.until_at,
            temperature_c=self.temperature_c,
            symptoms=self.symptoms,
            fever=self.fever,
        )


class EncounterIn(RowIn):
    person: PersonIn
    other_person: PersonIn
    duration_seconds: int = Field(ge=0, le=7 * 86_400)
    place: PlaceIn | None = None

    def read(self) -> Proximity:
        return Proximity(
            **self._head(),
            person=self.person.read(),
            other_person=self.other_person.read(),
            duration_seconds=self.duration_seconds,
            place=_place(self.place),
        )


class GroupIn(Shape):
    kind: Word
    code: Code


class MembershipIn(RowIn):
    person: PersonIn
    group: GroupIn
    until_at: Moment | None = None

    def read(self) -> Membership:
        return Membership(
            **self._head(),
            person=self.person.read(),
            group_kind=self.group.kind,
            group_code=self.group.code,
            until_at=self.until_at,
        )


class ResultIn(RowIn):
    """`occurred_at` is when the specimen was collected."""

    person: PersonIn
    specimen: Code
    disease: Word
    outcome: Outcome
    stage: Stage = "confirmed"
    reported_at: Moment
    onset_date: CalendarDay | None = None
    analytes: tuple[Code, ...] = Field(default=(), max_length=50)
    place: PlaceIn | None = None

    def read(self) -> LabResult:
        return LabResult(
            **self._head(),
            person=self.person.read(),
            specimen=self.specimen,
            disease=self.disease,
            outcome=self.outcome,
            stage=self.stage,
            reported_at=self.reported_at,
            onset_date=self.onset_date,
            analytes=self.analytes,
            place=_place(self.place),
        )


RowShape = TypeVar("RowShape", bound=RowIn)


class RowReader(Generic[RowShape]):
    """Reads a body of one row or of up to 1,000, all at once; only when that fails, row by row."""

    def __init__(self, shape: type[RowShape]) -> None:
        self._one: TypeAdapter[RowShape] = TypeAdapter(shape)
        self._many: TypeAdapter[list[RowShape]] = TypeAdapter(
            list[shape]  # type: ignore[valid-type]
        )

    def read(self, body: bytes) -> list[ArrivedRow]:
        """`BadRequest` when the body is no JSON object or array, `TooLarge` past 1,000 rows."""
        try:
            if body.lstrip()[:1] == b"[":
                shapes = self._many.validate_json(body)
            else:
                shapes = [self._one.validate_json(body)]
        except ValidationError:
            return list(self._read_one_by_one(body))
        _bound(len(shapes))
        return [_arrived(position, shape) for position, shape in enumerate(shapes)]

    def _read_one_by_one(self, body: bytes) -> Iterator[ArrivedRow]:
        rows = _load(body)
        _bound(len(rows))
        for position, row in enumerate(rows):
            text = json.dumps(row, ensure_ascii=False, sort_keys=True).encode(errors="replace")
            try:
                yield _arrived(position, self._one.validate_json(text))
            except ValidationError as error:
                problems = field_problems(error.errors(include_input=False, include_url=False))
                yield ArrivedRow(position, text, None, *_told_ids(row), problems)


def _arrived(position: int, shape: RowIn) -> ArrivedRow:
    # What `model_dump_json` does, without its way from bytes to text and back.
    body = shape.__pydantic_serializer__.to_json(shape, exclude_defaults=True)
    return ArrivedRow(position, body, shape.read(), shape.external_id, shape.revision)


def _load(body: bytes) -> list[Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body is no JSON", "send one row, or an array of rows") from error
    if isinstance(content, dict):
        return [content]
    if not isinstance(content, list):
        raise BadRequest("the body is no row", "send one row, or an array of rows")
    return content


def _bound(count: int) -> None:
    if count > ROWS_MAX:
        raise TooLarge(f"{count} rows in one body", f"send at most {ROWS_MAX} rows at once")


def _told_ids(row: Any) -> tuple[str | None, int]:
    """Id and revision of a row that could not be read, as far as they can."""
    if not isinstance(row, dict):
        return None, 1
    external_id, revision = row.get("external_id"), row.get("revision", 1)
    told = _keepable(external_id[:200]) if isinstance(external_id, str) else None
    sound = type(revision) is int and 1 <= revision <= 1_000_000
    return told, revision if sound else 1


def _keepable(text: str) -> str:
    """Without what no database keeps: NUL, and halves of surrogate pairs."""
    return text.replace("\x00", "").encode(errors="ignore").decode()


ReadRows = Callable[[bytes], list[ArrivedRow]]

READ_SCANS: ReadRows = RowReader(ScanIn).read
READ_REPORTS: ReadRows = RowReader(ReportIn).read
READ_ENCOUNTERS: ReadRows = RowReader(EncounterIn).read
READ_MEMBERSHIPS: ReadRows = RowReader(MembershipIn).read
READ_RESULTS: ReadRows = RowReader(ResultIn).read
