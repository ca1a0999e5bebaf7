"""Policy is data: versioned documents with dates and a source; a decision names the version it
used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Date, Executable, Select, Table, Text, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.engine import CursorResult

from shared.database.tables import StandardTables
from shared.database.work import AuditDetails, Work
from shared.errors import ConfigurationError, FieldProblem, InvalidPayload
from shared.events.policy import PolicyChanged
from shared.ids import derived_id


class PolicyDocument(BaseModel):
    """Base of every policy's parameters: unknown or blank ones are refused, there is no silent
    default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class PolicyKind:
    """A kind of policy of one owner and the shape of its document."""

    name: str
    model: type[PolicyDocument]


Document = TypeVar("Document", bound=PolicyDocument)


@dataclass(frozen=True, slots=True)
class PolicyInForce(Generic[Document]):
    """A document with the name of its version, as stored with every decision."""

    id: str
    version: int
    document: Document

    @property
    def name(self) -> str:
        return f"{self.id}@{self.version}"


class Reader(Protocol):
    """A read session or a unit of work."""

    async def execute(
        self, statement: Executable, rows: Mapping[str, Any] | None = None, /
    ) -> CursorResult[Any]: ...


class PolicyFile(BaseModel):
    """A preset as it stands in `presets/*.yaml`."""

    model_config = ConfigDict(extra="forbid")

    id: str
    version: int
    kind: str
    disease: str | None = None
    area_id: str | None = None
    valid_from: date
    valid_to: date | None = None
    source: str
    author: str
    approver: str | None = None
    document: dict[str, Any]


def read_presets(folder: Path, kinds: Sequence[PolicyKind]) -> list[PolicyFile]:
    """Every preset of a service, checked; `ConfigurationError` names file and field."""
    models = {kind.name: kind.model for kind in kinds}
    files = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            file = PolicyFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
            models[file.kind].model_validate(file.document)
        except (ValidationError, KeyError) as error:
            raise ConfigurationError(f"preset {path.name}: {error}") from error
        files.append(file)
    return files


def check_document(kind: PolicyKind, document: dict[str, Any]) -> PolicyDocument:
    """The parsed document, or `InvalidPayload` with every blank or wrong parameter."""
    try:
        return kind.model.model_validate(document)
    except ValidationError as error:
        problems = [
            FieldProblem(".".join(map(str, item["loc"])), item["msg"], item["type"])
            for item in error.errors()
        ]
        raise InvalidPayload(
            f"the {kind.name} document is not complete", "fill every named parameter", problems
        ) from error


async def store_policy(work: Work, tables: StandardTables, file: PolicyFile, *, state: str) -> bool:
    """Insert a version once; versions are never rewritten. True when it is new."""
    canonical = json.dumps(file.document, sort_keys=True, ensure_ascii=False)
    stored = await work.execute(
        insert(tables.policy)
        .values(
            **file.model_dump(exclude={"document"}),
            document=file.document,
            hash=hashlib.sha256(canonical.encode()).hexdigest(),
            state=state,
        )
        .on_conflict_do_nothing()
    )
    if not stored.rowcount:
        return False
    work.announce(policy_event(work, file, state))
    work.audit(
        "policy_stored",
        "policy",
        f"{file.id}@{file.version}",
        details=AuditDetails(area_id=file.area_id, reason=file.source),
    )
    return True


def policy_event(work: Work, file: PolicyFile, state: str) -> PolicyChanged:
    """The announcement of a policy version."""
    return PolicyChanged(
        record_id=policy_record_id(file.id),
        record_version=file.version,
        occurred_at=work.now(),
        recorded_at=work.now(),
        owner=work.service,
        policy_id=file.id,
        version=file.version,
        kind=file.kind,
        disease=file.disease,
        area_id=file.area_id,
        valid_from=file.valid_from,
        valid_to=file.valid_to,
        document=file.document,
        state=state,
    )


def policy_record_id(policy_id: str) -> UUID:
    return derived_id("policy", policy_id)


@dataclass(frozen=True, slots=True)
class PolicyQuestion:
    """Which policy: of a kind, for a disease, in an area, at an instant of event time."""

    kind: str
    at: datetime
    disease: str | None = None
    area_id: str | None = None


async def policies_in_force(
    reader: Reader, tables: StandardTables, model: type[Document], question: PolicyQuestion
) -> list[PolicyInForce[Document]]:
    """All documents of the kind in force there and then: per id the highest version, nearest area
    first.
    """
    found = await policies_by_area(reader, tables, model, question, [question.area_id])
    return found[question.area_id]


async def policies_by_area(
    reader: Reader,
    tables: StandardTables,
    model: type[Document],
    question: PolicyQuestion,
    area_ids: Iterable[str | None],
) -> dict[str | None, list[PolicyInForce[Document]]]:
    """The same for many areas, in two statements; the question's own area is not looked at."""
    areas = await _areas_of(reader, tables, set(area_ids), question.at)
    days = [area.day for area in areas.values()]
    rows = await reader.execute(
        _in_force(tables.policy),
        {
            "kind": question.kind,
            "first_day": min(days),
            "last_day": max(days),
            "disease": question.disease,
            "ancestors": sorted({one for area in areas.values() for one in area.ancestors}),
        },
    )
    stored = list(rows)
    parsed: dict[tuple[str, int], PolicyInForce[Document]] = {}
    found: dict[str | None, list[PolicyInForce[Document]]] = {}
    for area_id, area in areas.items():
        newest: dict[str, Any] = {}
        for row in filter(area.is_bound_by, stored):
            newest.setdefault(row.id, row)
        for row in newest.values():
            if (row.id, row.version) not in parsed:
                document = model.model_validate(row.document)
                parsed[row.id, row.version] = PolicyInForce(row.id, row.version, document)
        ordered = sorted(newest.values(), key=area.nearness)
        found[area_id] = [parsed[row.id, row.version] for row in ordered]
    return found


@dataclass(frozen=True, slots=True)
class _Where:
    """An area's line upwards, itself first, and its day."""

    ancestors: Sequence[str]
    day: date

    def is_bound_by(self, row: Any) -> bool:
        begun = row.valid_from <= self.day
        ended = row.valid_to is not None and row.valid_to < self.day
        return begun and not ended and (row.area_id is None or row.area_id in self.ancestors)

    def nearness(self, row: Any) -> tuple[int, int, str]:
        near = self.ancestors.index(row.area_id) if row.area_id else len(self.ancestors)
        return near, 0 if row.disease else 1, row.id


@cache
def _in_force(table: Table) -> Select[Any]:
    """Built once: every report asks this, and building it costs more than the answer."""
    first, last = bindparam("first_day", type_=Date), bindparam("last_day", type_=Date)
    ancestors = bindparam("ancestors", type_=ARRAY(Text))
    columns = table.c
    return (
        select(table)
        .where(
            columns.kind == bindparam("kind", type_=Text),
            columns.state == "active",
            columns.valid_from <= last,
            or_(columns.valid_to.is_(None), columns.valid_to >= first),
            or_(columns.disease.is_(None), columns.disease == bindparam("disease", type_=Text)),
            or_(columns.area_id.is_(None), columns.area_id == func.any(ancestors)),
        )
        .order_by(columns.id, columns.version.desc())
    )


async def policy_in_force(
    reader: Reader, tables: StandardTables, model: type[Document], question: PolicyQuestion
) -> PolicyInForce[Document]:
    """The one that counts: of the nearest area, then for the disease. `ConfigurationError` when
    none is.
    """
    return the_one_in_force(await policies_in_force(reader, tables, model, question), question)


def the_one_in_force(
    found: Sequence[PolicyInForce[Document]], question: PolicyQuestion
) -> PolicyInForce[Document]:
    """The first of those that are in force; `ConfigurationError` when none is."""
    if not found:
        raise ConfigurationError(
            f"no {question.kind} policy in force on {question.at.date()} for"
            f" {question.disease or 'any disease'}",
            "store and activate a policy whose dates cover that day",
        )
    return found[0]


async def _areas_of(
    reader: Reader, tables: StandardTables, area_ids: set[str | None], at: datetime
) -> dict[str | None, _Where]:
    """An area that nobody has loaded stands alone, in UTC."""
    area = tables.area
    named = sorted(one for one in area_ids if one is not None)
    known: dict[str, Any] = {}
    if named:
        query = select(area.c.area_id, area.c.ancestors, area.c.zone).where(
            area.c.area_id == func.any(bindparam("ids", type_=ARRAY(Text)))
        )
        known = {row.area_id: row for row in await reader.execute(query, {"ids": named})}
    found: dict[str | None, _Where] = {}
    for area_id in area_ids:
        row = known.get(area_id) if area_id is not None else None
        alone = [area_id] if area_id is not None else []
        zone = ZoneInfo(row.zone if row else "UTC")
        found[area_id] = _Where(row.ancestors if row else alone, at.astimezone(zone).date())
    return found
