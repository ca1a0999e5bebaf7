"""The kinds of policy that intake owns, and how a stored document becomes the rule's own type."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from services.intake.domain.checkpoints import CheckpointRule, rule_in_force
from services.intake.domain.hl7.specimens import AnalyteDocument, read_analyte_document
from services.intake.domain.hl7.syndromes import SyndromeDocument, read_syndrome_document
from services.intake.domain.lists import ListColumns
from services.intake.domain.references import KnownPlace
from services.intake.handlers.desk import Desk
from services.intake.repository.policies import read_active
from services.intake.tables import standard
from shared.database.work import ReadSession
from shared.policy import (
    PolicyDocument,
    PolicyInForce,
    PolicyKind,
    PolicyQuestion,
    policies_by_area,
    policy_in_force,
    the_one_in_force,
)

CHECKPOINT = "intake.checkpoint"
SYNDROMES = "intake.syndromes"
ANALYTES = "intake.analytes"
LIST_COLUMNS = "intake.list_columns"

Words = list[str]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CheckpointPolicy(PolicyDocument):
    """From this temperature (°C) on a checkpoint holds."""

    fever_from_c: float = Field(ge=35, le=42)


class SyndromePolicy(PolicyDocument):
    """Which clinic visit is a fever signal: words, codes and a temperature (°C)."""

    syndrome: str
    temperature_c: float
    terms: Words
    ignored: Words
    negations: Words
    breakers: Words
    diagnosis_prefixes: dict[str, Words]
    systems: dict[str, Words]


class AnalyteRow(_Part):
    code: str
    name: str
    disease: str
    role: Literal["report", "target"]
    stage: Literal["preliminary", "confirmed"]


class ExcludedRow(_Part):
    code: str
    reason: str


class OutcomeWords(_Part):
    codes: Words
    texts: Words


class AnalytePolicy(PolicyDocument):
    """Which laboratory rows may open a case, and what their values mean."""

    analytes: list[AnalyteRow]
    excluded: list[ExcludedRow]
    outcomes: dict[Literal["positive", "negative", "inconclusive"], OutcomeWords]
    presumptive_terms: Words
    preliminary_statuses: Words
    void_statuses: Words


class ListColumnsPolicy(PolicyDocument):
    """By which headings a list's columns are known, and what its words mean."""

    cases: dict[str, Words]
    links: dict[str, Words]
    classifications: dict[str, Words]
    default_classification: Literal["suspected", "probable", "confirmed", "asymptomatic"]
    settings: dict[str, Words]


KINDS = (
    PolicyKind(CHECKPOINT, CheckpointPolicy),
    PolicyKind(SYNDROMES, SyndromePolicy),
    PolicyKind(ANALYTES, AnalytePolicy),
    PolicyKind(LIST_COLUMNS, ListColumnsPolicy),
)


async def read_checkpoint_rules(session: ReadSession) -> list[CheckpointRule]:
    """Every active version, for a batch that spans areas and days."""
    return [
        CheckpointRule(
            row.id,
            row.version,
            row.area_id,
            row.valid_from,
            row.valid_to,
            float(row.document["fever_from_c"]),
        )
        for row in await read_active(session, CHECKPOINT)
    ]


def checkpoint_rule_at(
    rules: list[CheckpointRule], place: KnownPlace, at: datetime, default_zone: str
) -> CheckpointRule | None:
    """The rule on the area's day of `at`."""
    day = at.astimezone(ZoneInfo(place.zone or default_zone)).date()
    return rule_in_force(rules, day, place.ancestors)


async def syndromes_at(
    session: ReadSession, desk: Desk, at: datetime, area_id: str | None
) -> SyndromeDocument:
    return (await syndromes_by_area(session, desk, at, [area_id]))[area_id]


async def syndromes_by_area(
    session: ReadSession, desk: Desk, at: datetime, area_ids: Iterable[str | None]
) -> dict[str | None, SyndromeDocument]:
    """The document in force in each of these areas."""
    question = PolicyQuestion(SYNDROMES, at)
    found = await policies_by_area(session, standard, SyndromePolicy, question, area_ids)
    return {
        area_id: _remembered_syndromes(desk, the_one_in_force(policies, question))
        for area_id, policies in found.items()
    }


def _remembered_syndromes(desk: Desk, found: PolicyInForce[SyndromePolicy]) -> SyndromeDocument:
    document: SyndromeDocument = _remember(
        desk, found.id, found.version, lambda: read_syndrome_document(_flat(found))
    )
    return document


async def analytes_at(
    session: ReadSession, desk: Desk, at: datetime, area_id: str | None
) -> AnalyteDocument:
    question = PolicyQuestion(ANALYTES, at, area_id=area_id)
    found = await policy_in_force(session, standard, AnalytePolicy, question)
    document: AnalyteDocument = _remember(
        desk, found.id, found.version, lambda: read_analyte_document(_flat(found))
    )
    return document


async def list_columns_at(session: ReadSession, at: datetime, disease: str) -> ListColumns:
    question = PolicyQuestion(LIST_COLUMNS, at, disease=disease)
    found = await policy_in_force(session, standard, ListColumnsPolicy, question)
    return ListColumns(document=found.name, **found.document.model_dump())


def _flat(found: Any) -> dict[str, Any]:
    """The rule modules take the document with its name; validity was judged by the policy table."""
    return {
        "id": found.id,
        "version": found.version,
        "valid_from": "2009-01-01",
        **found.document.model_dump(),
    }


def _remember(desk: Desk, policy_id: str, version: int, read: Any) -> Any:
    key = (policy_id, version)
    if key not in desk.documents:
        desk.documents[key] = read()
    return desk.documents[key]
