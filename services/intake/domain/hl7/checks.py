"""Compares a message with its profile: one finding for each field that is missing or unreadable."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC

from services.intake.domain.hl7.findings import Finding, collect_findings
from services.intake.domain.hl7.profile import (
    STATUS_WITHOUT_VALUE,
    FieldRule,
    Form,
    SegmentRule,
)
from services.intake.domain.hl7.reader import Message, Segment, split_value
from services.intake.domain.hl7.times import parse_time

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufffd]")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)")
_COUNT = re.compile(r"[0-9]{1,9}")
# The shape of a code in the systems we read. ICD codes may come with or without the point.
_SHAPES = {
    "LN": re.compile(r"[0-9]{1,7}-[0-9]"),
    "SCT": re.compile(r"[0-9]{6,18}"),
    "CDCREC": re.compile(r"[0-9]{4}-[0-9]"),
    "I10C": re.compile(r"[A-Z][0-9][0-9A-Z](\.?[0-9A-Z]{1,4})?"),
    "I9CDX": re.compile(r"([0-9]{3}|V[0-9]{2}|E[0-9]{3})(\.?[0-9]{1,2})?"),
}
_TEXT_TYPES = ("TX", "FT", "ST")
_TIME_TYPES = ("TS", "DT", "DTM")
_CODED_TYPES = ("CWE", "CE", "CF")
_TIME_TEXTS = {
    "time_unreadable": "is no date or time that can be read",
    "time_impossible": "is a date that does not exist",
    "time_overlong": "has more digits than a time has; the first 14 were read",
    "offset_unreadable": "has an offset that does not exist; the source's zone was used",
}
_LONGEST_TEXT = 65_536  # TX, v2.5.1 2.A.78


def check_message(message: Message, profile: tuple[SegmentRule, ...]) -> tuple[Finding, ...]:
    """All findings on the form of a message, in the order of the profile. Never raises."""
    found: list[Iterable[Finding]] = [_check_characters(message)]
    for rule in profile:
        segments = message.all(rule.name)
        if not segments and rule.is_required:
            found.append(_report_absent(rule))
        found.extend(_check_segment(segment, rule) for segment in segments)
    return collect_findings(*found)


def _report_absent(rule: SegmentRule) -> Iterator[Finding]:
    yield Finding("segment_missing", rule.name, f"{rule.name}: the segment is missing")
    for field in rule.fields:
        if field.usage == "R":
            place = f"{rule.name}-{field.number}"
            yield Finding("field_missing", place, f"{place}: required, its segment is missing")


def _check_characters(message: Message) -> Iterator[Finding]:
    for segment in message.segments:
        for number, raw in enumerate(segment.fields):
            if number == 0 or (segment.name == "MSH" and number < 3):
                continue
            place = f"{segment.name}-{number}"
            if _CONTROL.search(raw):
                text = f"{place}: characters that are no text were dropped"
                yield Finding("characters_unreadable", place, text)
            escape = segment.delimiters.escape
            if escape in raw and raw.count(escape) % 2:
                yield Finding("escape_broken", place, f"{place}: an escape sequence does not end")


def _check_segment(segment: Segment, rule: SegmentRule) -> Iterator[Finding]:
    for field in rule.fields:
        yield from _check_field(segment, field)
    if segment.name == "OBX":
        yield from _check_observation(segment)


def _check_field(segment: Segment, rule: FieldRule) -> Iterator[Finding]:
    place = f"{segment.name}-{rule.number}"
    raw = segment.raw(rule.number)
    if not _has_content(segment, raw):
        if rule.usage == "R":
            yield Finding("field_missing", place, f"{place}: required, but empty")
        elif rule.usage == "RE":
            yield Finding("field_empty", place, f"{place}: to be sent when known, but empty")
        return
    if len(raw) > rule.longest:
        text = f"{place}: longer than {rule.longest} characters"
        yield Finding("field_overlong", place, text)
    codes = rule.codes
    if codes and segment.text(rule.number) not in codes:
        yield Finding("code_unknown", place, f"{place}: a code outside its table")
    for one in segment.repetitions(rule.number):
        # An empty repetition holds a place: `~^^^^^^S` is a name withheld.
        if _has_content(segment, one):
            yield from _check_form(segment, place, one, rule.form)


def _has_content(segment: Segment, raw: str) -> bool:
    marks = segment.delimiters
    rest = raw.strip(marks.component + marks.repetition + marks.subcomponent + " ")
    return rest not in ("", '""')


def _check_form(segment: Segment, place: str, raw: str, form: Form) -> Iterator[Finding]:
    def part(component: int, subcomponent: int = 1) -> str:
        return split_value(segment, raw, component, subcomponent)

    if form == "TS":
        yield from check_time(place, part(1))
    elif form in ("SI", "NM"):
        shape = _COUNT if form == "SI" else _NUMBER
        if not shape.fullmatch(part(1)):
            yield Finding("number_unreadable", place, f"{place}: no number that can be read")
    elif form in ("CWE",):
        yield from _check_coded(place, part(1), part(2) or part(9), part(3))
    elif form == "HD":
        if not (part(1) and part(2) and part(3)):
            text = f"{place}: a name, an id and the kind of id are expected"
            yield Finding("identifier_incomplete", place, text)
    elif form == "EI":
        if not part(1) or not (part(2) or part(3)):
            text = f"{place}: an id and who gave it are expected"
            yield Finding("identifier_incomplete", place, text)
    elif form == "CX":
        if not (part(1) and (part(4) or part(4, 2)) and part(5)):
            text = f"{place}: an id, who gave it and its kind are expected"
            yield Finding("identifier_incomplete", place, text)
    elif form == "XAD" and not any(part(number) for number in (3, 4, 5, 9)):
        text = f"{place}: no city, state, postal code or county"
        yield Finding("address_unreadable", place, text)
    if form not in ("TS", "SI", "NM") and not any(sign.isalnum() for sign in raw):
        yield Finding("text_unreadable", place, f"{place}: neither letters nor digits")


def _check_coded(place: str, code: str, text: str, system: str) -> Iterator[Finding]:
    if not code and not text:
        yield Finding("code_missing", place, f"{place}: neither code nor text")
    elif code and not system:
        yield Finding("code_without_system", place, f"{place}: a code without its coding system")
    elif code and system in _SHAPES and not _SHAPES[system].fullmatch(code):
        yield Finding("code_unreadable", place, f"{place}: no code of the system it names")


def check_time(place: str, text: str) -> Iterator[Finding]:
    """A finding when `text` is no sound HL7 time; used for every time field that is read."""
    problem = parse_time(text, UTC).problem
    if problem:
        yield Finding(problem, place, f"{place}: {_TIME_TEXTS[problem]}")


def _check_observation(segment: Segment) -> Iterator[Finding]:
    """OBX-5 and OBX-6, whose form OBX-2 decides and whose absence OBX-6 or OBX-11 may excuse."""
    raw = segment.raw(5)
    kind = segment.text(2)
    if not _has_content(segment, raw):
        is_excused = segment.text(6) in ("UNK", "ASKU", "NASK")
        if not is_excused and segment.text(11) not in STATUS_WITHOUT_VALUE:
            yield Finding("field_missing", "OBX-5", "OBX-5: a result without a value")
        return
    if len(raw) > _LONGEST_TEXT:
        yield Finding("field_overlong", "OBX-5", f"OBX-5: longer than {_LONGEST_TEXT} characters")
    if kind in _TEXT_TYPES:
        if not any(sign.isalnum() for sign in segment.whole(5)):
            yield Finding("text_unreadable", "OBX-5", "OBX-5: neither letters nor digits")
        return
    for one in segment.repetitions(5):
        if kind in _CODED_TYPES:
            yield from _check_form(segment, "OBX-5", one, "CWE")
        elif kind in _TIME_TYPES:
            yield from _check_form(segment, "OBX-5", one, "TS")
        elif kind in ("NM", "CX", "HD", "XAD"):
            yield from _check_form(segment, "OBX-5", one, _OBX_FORMS[kind])
    if kind == "NM":
        yield from _check_units(segment)


_OBX_FORMS: dict[str, Form] = {"NM": "NM", "CX": "CX", "HD": "HD", "XAD": "XAD"}


def _check_units(segment: Segment) -> Iterator[Finding]:
    raw = segment.raw(6)
    if not _has_content(segment, raw):
        yield Finding("field_missing", "OBX-6", "OBX-6: a number without its unit")
    else:
        yield from _check_form(segment, "OBX-6", raw, "CWE")
