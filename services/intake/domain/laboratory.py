"""What one specimen says after all messages about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from services.intake.domain.hl7.laboratory import LabReport, ResultRow
from services.intake.domain.hl7.specimens import AnalyteDocument, SpecimenAnswer, judge_specimen


@dataclass(frozen=True, slots=True)
class SpecimenPart:
    """One order group of one message about a specimen."""

    report: LabReport
    fingerprint: bytes
    received_at: datetime
    source_id: UUID
    sender: str

    @property
    def reported_at(self) -> datetime:
        return self.report.reported_at or self.received_at

    @property
    def filler(self) -> str:
        return self.report.filler.text if self.report.filler else ""


@dataclass(frozen=True, slots=True)
class SpecimenReading:
    """One disease's answer, the instants that belong to it, and the part that spoke last."""

    answer: SpecimenAnswer
    collected_at: datetime
    reported_at: datetime


def order_parts(parts: Sequence[SpecimenPart]) -> list[SpecimenPart]:
    """By the time reported, then by content: the same for every order of arrival."""
    return sorted(parts, key=lambda part: (part.reported_at, part.fingerprint, part.filler))


def current_rows(ordered: Sequence[SpecimenPart]) -> list[ResultRow]:
    """The rows that count: a later report of the same order and specimen replaces the earlier row;
    told at the same time, a correction (OBX-11 `C`) goes over what it corrects."""
    current: dict[tuple[str, str, str], tuple[tuple[datetime, bool], ResultRow]] = {}
    for part in ordered:
        for row in part.report.results:
            key = (part.filler, *row.key)
            rank = (part.reported_at, row.status == "C")
            if key not in current or rank >= current[key][0]:
                current[key] = (rank, row)
    return [row for _, row in current.values()]


def read_specimen(
    parts: Sequence[SpecimenPart], document: AnalyteDocument
) -> list[SpecimenReading]:
    """An answer per disease. `reported_at` is when its present outcome was first told, so that a
    second report of the same finding does not make the person a case later than they were."""
    ordered = order_parts(parts)
    collected = [part.report.collected_at for part in ordered if part.report.collected_at]
    readings = []
    for answer in judge_specimen(current_rows(ordered), document):
        told = [
            part.reported_at
            for part in ordered
            if _outcome(part, answer.disease, document) == answer.outcome
        ]
        reported_at = min(told, default=ordered[-1].reported_at)
        readings.append(
            SpecimenReading(answer, collected[-1] if collected else reported_at, reported_at)
        )
    return readings


def _outcome(part: SpecimenPart, disease: str, document: AnalyteDocument) -> str | None:
    answers = judge_specimen(part.report.results, document)
    return next((one.outcome for one in answers if one.disease == disease), None)


def read_onset(ordered: Sequence[SpecimenPart]) -> date | None:
    """The onset told last: it is about the patient, so any message may tell it."""
    told = (part.report.onset_date for part in reversed(ordered))
    return next((one for one in told if one), None)
