"""OBX as facts: one coded value type for clinic messages and laboratory reports."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import tzinfo

from services.intake.domain.hl7.reader import Message, Segment
from services.intake.domain.hl7.times import ParsedTime, parse_time

ONSET = "11368-8"  # LOINC: illness or injury onset date and time
# Wrong patient, deleted, not obtainable, not asked, ordered only (HL7 0085): no value is read.
_VALUELESS = frozenset("WDXNO")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)")
_CODED_TYPES = frozenset(("CWE", "CE", "CF", "CNE", "IS", "ID"))


@dataclass(frozen=True, slots=True)
class Coded:
    """A CWE or CE: code, text and system, the same again in another system, original text."""

    code: str = ""
    text: str = ""
    system: str = ""
    alternate_code: str = ""
    alternate_text: str = ""
    alternate_system: str = ""
    original_text: str = ""

    def __bool__(self) -> bool:
        return bool(self.code or self.text or self.alternate_code or self.original_text)

    def code_in(self, system: str) -> str:
        """The code of one system, whichever of the two places it stands in, else ""."""
        if self.system == system:
            return self.code
        return self.alternate_code if self.alternate_system == system else ""


@dataclass(frozen=True, slots=True)
class Observation:
    """One OBX. `value` is filled for coded values, `value_text` for all; `status` is OBX-11."""

    analyte: Coded
    value_type: str
    value: Coded
    value_text: str = field(repr=False)
    unit: str
    sub_id: str
    status: str
    observed: ParsedTime
    analysed: ParsedTime
    kind: str  # OBX-29: RSLT, QST, AOE, …

    @property
    def code(self) -> str:
        """LOINC where the row has one, else the first code."""
        return self.analyte.code_in("LN") or self.analyte.code

    @property
    def has_value(self) -> bool:
        return self.status not in _VALUELESS

    @property
    def number(self) -> float | None:
        """The value as a number; None when it is none."""
        if not _NUMBER.fullmatch(self.value_text):
            return None
        return float(self.value_text)


def read_coded(segment: Segment, number: int) -> Coded:
    """A CWE or CE field, its first repetition."""
    if not segment.raw(number):
        return Coded()
    parts = [segment.text(number, part) for part in (1, 2, 3, 4, 5, 6, 9)]
    return Coded(*parts)


def read_observation(segment: Segment, zone: tzinfo) -> Observation:
    """One OBX segment; `zone` is the source's default zone."""
    value_type = segment.text(2)
    return Observation(
        analyte=read_coded(segment, 3),
        value_type=value_type,
        value=read_coded(segment, 5) if value_type in _CODED_TYPES else Coded(),
        value_text=_read_value_text(segment, value_type),
        unit=segment.text(6) or segment.text(6, 2),
        sub_id=segment.text(4),
        status=segment.text(11),
        observed=parse_time(segment.text(14), zone),
        analysed=parse_time(segment.text(19), zone),
        kind=segment.text(29),
    )


def read_observations(message: Message, zone: tzinfo) -> list[Observation]:
    """Every OBX of the message in order."""
    return [read_observation(segment, zone) for segment in message.all("OBX")]


def _read_value_text(segment: Segment, value_type: str) -> str:
    if value_type in ("TX", "FT", "ST"):
        return segment.whole(5)
    if value_type == "SN":
        # Comparator, number: only an exact number is read as one.
        return segment.text(5, 2) if segment.text(5) in ("", "=") else segment.whole(5)
    if value_type in _CODED_TYPES:
        # Older senders put free text in the original text, CWE.9.
        return segment.text(5, 9) or segment.text(5, 2) or segment.text(5)
    return segment.text(5)
