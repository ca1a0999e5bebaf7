"""From the rows of one specimen to one answer per disease, by a versioned list of analytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from services.intake.domain.hl7.laboratory import ResultRow

Outcome = Literal["positive", "negative", "inconclusive"]
Stage = Literal["preliminary", "confirmed"]
Role = Literal["report", "target"]
_OUTCOMES: tuple[Outcome, ...] = ("positive", "negative", "inconclusive")


@dataclass(frozen=True, slots=True)
class Analyte:
    """An analyte that may open a case: a `report` is the answer, a `target` only one gene."""

    code: str
    disease: str
    role: Role
    stage: Stage


@dataclass(frozen=True, slots=True)
class AnalyteDocument:
    """The versioned list (presets/analytes.yaml). Codes: SNOMED CT or HL7; texts: lower case."""

    id: str
    version: int
    valid_from: date
    analytes: Mapping[str, Analyte]
    codes: Mapping[str, Outcome]
    texts: Mapping[str, Outcome]
    presumptive_terms: tuple[str, ...]
    preliminary_statuses: frozenset[str]
    void_statuses: frozenset[str]


@dataclass(frozen=True, slots=True)
class SpecimenAnswer:
    """What one specimen says on one disease; `analytes` are the rows it rests on.

    A positive answer whose stage is preliminary opens a probable case.
    """

    disease: str
    outcome: Outcome
    stage: Stage
    analytes: tuple[str, ...]


def read_analyte_document(content: Mapping[str, Any]) -> AnalyteDocument:
    """A loaded preset to the document; ValueError names what is wrong with it."""
    try:
        analytes = [
            Analyte(str(row["code"]), str(row["disease"]), row["role"], row["stage"])
            for row in content["analytes"]
        ]
        outcomes = content["outcomes"]
        return AnalyteDocument(
            id=str(content["id"]),
            version=int(content["version"]),
            valid_from=_read_day(content["valid_from"]),
            analytes={one.code: one for one in analytes},
            codes={str(code): kind for kind in _OUTCOMES for code in outcomes[kind]["codes"]},
            texts={
                str(text).lower(): kind for kind in _OUTCOMES for text in outcomes[kind]["texts"]
            },
            presumptive_terms=tuple(str(term).lower() for term in content["presumptive_terms"]),
            preliminary_statuses=frozenset(content["preliminary_statuses"]),
            void_statuses=frozenset(content["void_statuses"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"analyte list: {error} is missing or of a wrong kind") from error


def _read_day(value: object) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def judge_specimen(
    rows: Iterable[ResultRow], document: AnalyteDocument
) -> tuple[SpecimenAnswer, ...]:
    """One answer per disease, or none when no listed analyte has an outcome.

    `rows` are the current rows of one specimen over all its orders, in any order. A report row
    decides; without one all target genes must agree ("either this or all the target codes MUST be
    used", note in CDC's sample message), and if they do not the answer is inconclusive.
    """
    judged: dict[str, list[tuple[Analyte, ResultRow, Outcome]]] = {}
    for row in rows:
        analyte = document.analytes.get(row.analyte_code)
        if analyte is None or row.is_answer or row.status in document.void_statuses:
            continue
        outcome = read_outcome(row, document)
        if outcome is not None:
            judged.setdefault(analyte.disease, []).append((analyte, row, outcome))
    return tuple(_answer(disease, judged[disease], document) for disease in sorted(judged))


def _answer(
    disease: str,
    judged: Sequence[tuple[Analyte, ResultRow, Outcome]],
    document: AnalyteDocument,
) -> SpecimenAnswer:
    reports = [one for one in judged if one[0].role == "report"]
    deciding = reports or list(judged)
    outcomes = {outcome for _, _, outcome in deciding}
    outcome: Outcome = outcomes.pop() if len(outcomes) == 1 else "inconclusive"
    firm = [
        one
        for one in deciding
        if one[0].stage == "confirmed" and not is_preliminary(one[1], document)
    ]
    return SpecimenAnswer(
        disease=disease,
        outcome=outcome,
        stage="confirmed" if firm else "preliminary",
        analytes=tuple(sorted({analyte.code for analyte, _, _ in deciding})),
    )


def read_outcome(row: ResultRow, document: AnalyteDocument) -> Outcome | None:
    """By code first, then by the whole text: a part of it would read "not detected" as detected."""
    for code in (row.value_code, row.value.alternate_code):
        if code in document.codes:
            return document.codes[code]
    return document.texts.get(row.value_text.strip().lower())


def is_preliminary(row: ResultRow, document: AnalyteDocument) -> bool:
    """Whether the row itself says that another test must confirm it."""
    if row.status in document.preliminary_statuses:
        return True
    texts = (row.value.text, row.value.alternate_text, row.value.original_text, row.value_text)
    said = " ".join(texts).lower()
    return any(term in said for term in document.presumptive_terms)
