"""The policies of measures, read once per transaction and question."""

from __future__ import annotations

from datetime import datetime

from services.quarantine.domain.measures import Measures
from services.quarantine.tables import standard
from shared.policy import (
    PolicyDocument,
    PolicyInForce,
    PolicyKind,
    PolicyQuestion,
    Reader,
    policies_in_force,
)


class MeasuresDocument(Measures, PolicyDocument):
    """The domain's document as the policy table stores it."""


MEASURES = PolicyKind("quarantine.measures", MeasuresDocument)


class PolicyBook:
    """Answers "which measures, when, where, for what" and remembers the answers.

    One case puts hundreds of contacts under order at one instant: that is one question.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._answers: dict[PolicyQuestion, PolicyInForce[MeasuresDocument] | None] = {}

    async def measures(
        self, *, at: datetime, disease: str, area_id: str | None
    ) -> PolicyInForce[MeasuresDocument] | None:
        """The document in force at that event time; None where there is none (yet)."""
        question = PolicyQuestion(MEASURES.name, at, disease, area_id)
        if question not in self._answers:
            found = await policies_in_force(self._reader, standard, MeasuresDocument, question)
            self._answers[question] = found[0] if found else None
        return self._answers[question]
