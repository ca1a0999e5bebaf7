"""Is this visit a fever signal? By complaint, diagnosis or temperature, and a versioned list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from services.intake.domain.hl7.admission import ClinicEncounter


@dataclass(frozen=True, slots=True)
class SyndromeDocument:
    """The versioned list (presets/syndromes.yaml).

    `ignored` phrases are taken out of a text before it is read ("hay fever", 无明显诱因);
    `negations` and `breakers` rule what is denied; prefixes are per coding system, without points.
    `systems` maps the names senders use to the names of `diagnosis_prefixes`.
    """

    id: str
    version: int
    valid_from: date
    syndrome: str
    terms: tuple[str, ...]
    ignored: tuple[str, ...]
    negations: tuple[str, ...]
    breakers: tuple[str, ...]
    diagnosis_prefixes: Mapping[str, tuple[str, ...]]
    systems: Mapping[str, str]
    temperature_c: float

    @property
    def reading(self) -> str:
        """What an event names as the reading's author."""
        return f"{self.id}@{self.version}"


@dataclass(frozen=True, slots=True)
class SyndromeReason:
    """Why: `matched` is the list's term, prefix or threshold, never the patient's words."""

    kind: Literal["term", "diagnosis", "temperature"]
    field: str
    matched: str


@dataclass(frozen=True, slots=True)
class SyndromeReading:
    """The answer, its reasons (none when False) and the list that gave it."""

    is_signal: bool
    reasons: tuple[SyndromeReason, ...]
    syndrome: str
    document: str


def read_syndrome_document(content: Mapping[str, Any]) -> SyndromeDocument:
    """A loaded preset to the document; ValueError names what is wrong with it."""
    try:
        valid_from = content["valid_from"]
        if not isinstance(valid_from, date):
            valid_from = date.fromisoformat(str(valid_from))
        return SyndromeDocument(
            id=str(content["id"]),
            version=int(content["version"]),
            valid_from=valid_from,
            syndrome=str(content["syndrome"]),
            terms=_lower(content["terms"]),
            ignored=_lower(content["ignored"]),
            negations=_lower(content["negations"]),
            breakers=_lower(content["breakers"]),
            diagnosis_prefixes={
                str(system): tuple(str(prefix).replace(".", "").upper() for prefix in prefixes)
                for system, prefixes in content["diagnosis_prefixes"].items()
            },
            systems={
                str(name).upper(): str(system)
                for system, names in content["systems"].items()
                for name in names
            },
            temperature_c=float(content["temperature_c"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"syndrome list: {error} is missing or of a wrong kind") from error


def _lower(words: Iterable[Any]) -> tuple[str, ...]:
    # The longest first, so that a phrase goes before the word it begins with.
    return tuple(sorted((str(word).lower() for word in words), key=len, reverse=True))


def read_syndrome(encounter: ClinicEncounter, document: SyndromeDocument) -> SyndromeReading:
    """One reason is enough; all are told."""
    reasons = tuple(dict.fromkeys(_find_reasons(encounter, document)))
    return SyndromeReading(bool(reasons), reasons, document.syndrome, document.reading)


def _find_reasons(
    encounter: ClinicEncounter, document: SyndromeDocument
) -> Iterator[SyndromeReason]:
    texts = [("OBX 8661-1", text) for text in encounter.chief_complaints]
    texts += [("OBX 54094-8", text) for text in encounter.triage_notes]
    texts.append(("PV2-3", encounter.admit_reason))
    # A coded diagnosis is judged by its code: its text is the code's name.
    texts += [("DG1-3", one.text) for one in encounter.diagnoses if not one.code]
    for field, text in texts:
        for term in find_terms(text, document):
            yield SyndromeReason("term", field, term)
    for diagnosis in encounter.diagnoses:
        prefix = _match_code(diagnosis.code, diagnosis.system, document)
        if prefix:
            yield SyndromeReason("diagnosis", "DG1-3", prefix)
    celsius = encounter.temperature_c
    if celsius is not None and celsius >= document.temperature_c:
        yield SyndromeReason("temperature", "OBX-5", f">= {document.temperature_c} °C")


def _match_code(code: str, system: str, document: SyndromeDocument) -> str:
    known = document.systems.get(system.upper(), system)
    plain = code.replace(".", "").upper()
    for prefix in document.diagnosis_prefixes.get(known, ()):
        # A SNOMED code is a whole number: 386661006 is no prefix of another.
        if plain == prefix or (known != "SCT" and plain.startswith(prefix)):
            return f"{known}:{prefix}"
    return ""


_SENTENCE_END = re.compile(r"[.!?;。！？；\r\n]+(?=\s|$|[^\x00-\x7f])|[;。！？；\r\n]")
_ALTERNATIVE = re.compile(r"\b(?:or|nor)\b|或|及|和")


def find_terms(text: str, document: SyndromeDocument) -> tuple[str, ...]:
    """The terms that the text affirms, in zh or en; denied ones (无发热) do not count.

    A denial reaches to the end of its sentence, to a breaker ("but", 伴), or to a comma that does
    not belong to a list ended by "or": "no cough, fever" affirms, "no cough, fever or rash" denies.
    """
    plain = text.lower()
    for phrase in document.ignored:
        plain = _pattern(phrase).sub(" ", plain)
    found: dict[str, None] = {}
    for sentence in _SENTENCE_END.split(plain):
        denied = _find_denied(sentence, document)
        for term in document.terms:
            for match in _pattern(term).finditer(sentence):
                if not any(start <= match.start() < end for start, end in denied):
                    found.setdefault(term)
    return tuple(found)


def _find_denied(sentence: str, document: SyndromeDocument) -> list[tuple[int, int]]:
    denied = []
    for word in document.negations:
        for match in _pattern(word).finditer(sentence):
            reach = _find_reach(sentence, match.end(), document)
            denied.append((match.start(), reach))
    return denied


def _find_reach(sentence: str, start: int, document: SyndromeDocument) -> int:
    end = len(sentence)
    for word in document.breakers:
        match = _pattern(word).search(sentence, start)
        if match:
            end = min(end, match.start())
    commas = [match.start() for match in re.finditer("[,，]", sentence[start:end])]
    if not commas:
        return end
    listed = [match.start() for match in _ALTERNATIVE.finditer(sentence[start:end])]
    if not listed:
        return start + commas[0]
    after = [comma for comma in commas if comma > listed[-1]]
    return start + after[0] if after else end


_patterns: dict[str, re.Pattern[str]] = {}


def _pattern(phrase: str) -> re.Pattern[str]:
    """Latin words are matched whole ("afebrile" is not "febrile"), Chinese ones anywhere."""
    pattern = _patterns.get(phrase)
    if pattern is None:
        left = r"(?<![a-z0-9])" if phrase[:1].isascii() else ""
        right = r"(?![a-z0-9])" if phrase[-1:].isascii() else ""
        pattern = _patterns[phrase] = re.compile(left + re.escape(phrase) + right)
    return pattern
