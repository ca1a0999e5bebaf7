"""Which fields a message should carry, and in which form: the tables behind the warnings.

Usage follows the PHIN Messaging Guide for Syndromic Surveillance 2.0 (ADT) and the ELR guide 2.5.1
(ORU): R is required, RE is sent when known. Nothing here refuses a message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Usage = Literal["R", "RE", "O"]
Form = Literal["HD", "EI", "CX", "CWE", "ID", "TS", "SI", "NM", "ST", "TX", "XPN", "XAD"]


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One field: its usage, form, allowed codes (none: any) and longest length in characters."""

    number: int
    usage: Usage
    form: Form
    codes: frozenset[str] = frozenset()
    longest: int = 1000


@dataclass(frozen=True, slots=True)
class SegmentRule:
    """One segment: is it required, and the rules of its fields."""

    name: str
    is_required: bool
    fields: tuple[FieldRule, ...] = field(default=())


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


ACKNOWLEDGE = _codes("AL NE ER SU")  # HL7 0155
SEX = _codes("F M O U A N C")  # HL7 0001
PATIENT_CLASS = _codes("E I O P R B C N U D V W")  # HL7 0004 and PH_PatientClass
VALUE_TYPE = _codes(
    "AD CE CF CK CN CP CWE CX DR DT DTM ED EI FT HD ID IS MO NA NM PN PPN RP SI SN ST TM TN TS TX"
    " XAD XCN XON XPN XTN"
)  # HL7 0125
RESULT_STATUS = _codes("C D F I N O P R S U W X")  # HL7 0085
REPORT_STATUS = _codes("O I S A P C R F X Y Z")  # HL7 0123
DIAGNOSIS_TYPE = _codes("A W F")  # HL7 0052
YES_NO = _codes("Y N")  # HL7 0136
ORDER_CONTROL = _codes(
    "AF CA CN CR DC DE DF HD HR NA NW OC OD OE OF OH OK OR PA RE RF RP RU SC SN SS UA"
)  # HL7 0119
# Results that are told without a value: not asked, ordered, could not be obtained, wrong, deleted.
STATUS_WITHOUT_VALUE = _codes("D I N O W X")

_MSH_ADT = (
    FieldRule(4, "R", "HD"),
    FieldRule(7, "R", "TS"),
    FieldRule(9, "R", "ST"),
    FieldRule(10, "R", "ST", longest=199),
    FieldRule(11, "R", "ST"),
    FieldRule(12, "R", "ST"),
    FieldRule(15, "RE", "ID", ACKNOWLEDGE),
    FieldRule(16, "RE", "ID", ACKNOWLEDGE),
    FieldRule(21, "R", "EI"),
)
_PID = (
    FieldRule(1, "R", "SI"),
    FieldRule(3, "R", "CX"),
    FieldRule(5, "R", "XPN"),
    FieldRule(7, "O", "TS"),
    FieldRule(8, "RE", "ID", SEX),
    FieldRule(10, "RE", "CWE"),
    FieldRule(11, "RE", "XAD"),
    FieldRule(22, "RE", "CWE"),
    FieldRule(29, "O", "TS"),
    FieldRule(30, "O", "ID", YES_NO),
)
_PV1 = (
    FieldRule(1, "R", "SI"),
    FieldRule(2, "R", "ID", PATIENT_CLASS),
    FieldRule(19, "R", "CX"),
    FieldRule(36, "O", "SI"),
    FieldRule(44, "R", "TS"),
    FieldRule(45, "O", "TS"),
)
# At the end of a visit its disposition is known and its end required.
_PV1_END = (*_PV1[:3], FieldRule(36, "RE", "SI"), _PV1[4], FieldRule(45, "R", "TS"))
_OBX = (
    FieldRule(1, "R", "SI"),
    FieldRule(2, "R", "ID", VALUE_TYPE),
    FieldRule(3, "R", "CWE"),
    FieldRule(11, "R", "ID", RESULT_STATUS),
    FieldRule(14, "O", "TS"),
)
_EVN = (FieldRule(2, "R", "TS"), FieldRule(7, "R", "HD"))
_DG1 = (
    FieldRule(1, "R", "SI"),
    FieldRule(3, "R", "CWE"),
    FieldRule(6, "R", "ID", DIAGNOSIS_TYPE),
)


def _admission(visit: tuple[FieldRule, ...]) -> tuple[SegmentRule, ...]:
    return (
        SegmentRule("MSH", True, _MSH_ADT),
        SegmentRule("EVN", True, _EVN),
        SegmentRule("PID", True, _PID),
        SegmentRule("PV1", True, visit),
        SegmentRule("PV2", False, (FieldRule(3, "RE", "CWE"),)),
        SegmentRule("OBX", False, _OBX),
        SegmentRule("DG1", False, _DG1),
    )


ADMISSION = _admission(_PV1)
DISCHARGE = _admission(_PV1_END)

LABORATORY = (
    SegmentRule(
        "MSH",
        True,
        (
            FieldRule(3, "RE", "HD"),
            FieldRule(4, "R", "HD"),
            FieldRule(7, "R", "TS"),
            FieldRule(9, "R", "ST"),
            FieldRule(10, "R", "ST", longest=199),
            FieldRule(11, "R", "ST"),
            FieldRule(12, "R", "ST"),
            FieldRule(21, "RE", "EI"),
        ),
    ),
    SegmentRule(
        "PID",
        True,
        (
            FieldRule(1, "R", "SI"),
            FieldRule(3, "R", "CX"),
            FieldRule(5, "R", "XPN"),
            FieldRule(7, "RE", "TS"),
            FieldRule(8, "RE", "ID", SEX),
            FieldRule(11, "RE", "XAD"),
        ),
    ),
    SegmentRule("ORC", False, (FieldRule(1, "R", "ID", ORDER_CONTROL), FieldRule(3, "RE", "EI"))),
    SegmentRule(
        "OBR",
        True,
        (
            FieldRule(1, "R", "SI"),
            FieldRule(2, "O", "EI"),
            FieldRule(3, "R", "EI"),
            FieldRule(4, "R", "CWE"),
            FieldRule(7, "R", "TS"),
            FieldRule(14, "O", "TS"),
            FieldRule(22, "R", "TS"),
            FieldRule(25, "R", "ID", REPORT_STATUS),
        ),
    ),
    SegmentRule("OBX", True, (*_OBX[:4], FieldRule(14, "RE", "TS"), FieldRule(19, "O", "TS"))),
    SegmentRule(
        "SPM",
        False,
        (
            FieldRule(2, "R", "ST"),
            FieldRule(4, "R", "CWE"),
            FieldRule(17, "RE", "TS"),
            FieldRule(18, "RE", "TS"),
        ),
    ),
)

# The fields of an A04 whose loss or damage is always told, one warning each: a promise with a test.
# OBX-5 and OBX-6 are judged by OBX-2 and OBX-11 (`checks.py`); MSH-9, 11 and 12 refuse.
READ_FIELDS = (
    "MSH-1",
    "MSH-2",
    *(
        f"{segment.name}-{rule.number}"
        for segment in ADMISSION
        for rule in segment.fields
        if rule.usage != "O"
    ),
    "OBX-5",
    "OBX-6",
)
