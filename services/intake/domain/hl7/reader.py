"""Reads ER7 (HL7 v2 "pipe and hat") as it really arrives.

A tolerant reader: it takes CR, LF and CRLF, byte order marks, MLLP framing, trailing spaces,
four or five encoding characters and batch files; it never raises on any bytes, and it says what
it had to forgive.
Facts and traps: HL7 v2.5.1 chapter 2; PHIN Messaging Guide for Syndromic Surveillance 2.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256

from services.intake.domain.hl7.characters import decode_body
from services.intake.domain.hl7.findings import Finding, collect_findings

ENVELOPE = ("FHS", "BHS", "BTS", "FTS")
HEADERS = ("MSH", "FHS", "BHS")
_SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_STANDARD = "^~\\&"
_FRAMING = " \t\x00\x0b\x0c\x1c\ufeff"
# A value may hold line breaks and tabs; other control characters are dropped (PostgreSQL: no NUL).
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The characters declared in MSH-1 and MSH-2. A fifth (truncation) has no effect here."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"


STANDARD_DELIMITERS = Delimiters()


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment. `fields[n]` is field n as sent, also for MSH; values are decoded on demand."""

    name: str
    fields: tuple[str, ...]
    delimiters: Delimiters = STANDARD_DELIMITERS

    def raw(self, number: int) -> str:
        """The field as sent, "" when absent."""
        return self.fields[number] if number < len(self.fields) else ""

    def repetitions(self, number: int) -> list[str]:
        """The repetitions of a field as sent; none for an absent field."""
        raw = self.raw(number)
        return raw.split(self.delimiters.repetition) if raw else []

    def whole(self, number: int) -> str:
        """The whole field as text: for free text, where a stray `&` or `^` is only a letter."""
        return self.decode(self.raw(number))

    def text(
        self, number: int, component: int = 1, *, subcomponent: int = 1, repetition: int = 1
    ) -> str:
        """One decoded value, "" when absent. HL7's explicit null `""` reads as absent."""
        raw = self.raw(number)
        if not raw:
            return ""
        marks = self.delimiters
        if marks.repetition in raw:
            raw = _pick(raw.split(marks.repetition), repetition)
        elif repetition > 1:
            return ""
        return self.decode(_part(raw, component, subcomponent, marks))

    def decode(self, raw: str) -> str:
        """Escapes resolved, control characters and outer spaces dropped, null read as empty."""
        if raw in ("", '""'):
            return ""
        if self.delimiters.escape in raw:
            raw = unescape(raw, self.delimiters)
        return _CONTROL.sub("", raw).strip()


def _pick(parts: list[str], number: int) -> str:
    return parts[number - 1] if 0 < number <= len(parts) else ""


def _part(raw: str, component: int, subcomponent: int, marks: Delimiters) -> str:
    raw = _pick(raw.split(marks.component), component)
    return _pick(raw.split(marks.subcomponent), subcomponent)


def split_value(segment: Segment, raw: str, component: int, subcomponent: int = 1) -> str:
    """A decoded value of one repetition taken from `Segment.repetitions`."""
    return segment.decode(_part(raw, component, subcomponent, segment.delimiters))


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its segments in order and what the reader forgave."""

    segments: tuple[Segment, ...] = ()
    findings: tuple[Finding, ...] = ()
    lines: tuple[str, ...] = field(default=(), repr=False)

    @property
    def header(self) -> Segment | None:
        return self.first("MSH")

    def all(self, name: str) -> list[Segment]:
        return [segment for segment in self.segments if segment.name == name]

    def first(self, name: str) -> Segment | None:
        return next((segment for segment in self.segments if segment.name == name), None)

    @property
    def text(self) -> str:
        """The message in its canonical form: CR after each segment, no framing."""
        return "".join(line + "\r" for line in self.lines)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical text: the same whether it came by CR, LF, CRLF or MLLP."""
        return sha256(self.text.encode("utf-8", errors="replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class Interchange:
    """What one body held: messages, batch envelope and the codec it was decoded with."""

    messages: tuple[Message, ...]
    codec: str = "utf-8"
    findings: tuple[Finding, ...] = ()
    file_header: Segment | None = None
    batch_header: Segment | None = None
    is_batch: bool = False


def read_interchange(body: bytes) -> Interchange:
    """Any bytes to messages. Without MSH the answer is one message without a header; never raises.

    A batch (FHS BHS {messages} BTS FTS) is unwrapped; an empty batch has no messages.
    """
    text, codec, findings = decode_body(body)
    envelope: dict[str, list[str]] = {}
    groups: list[list[str]] = []
    for line in _split_lines(text):
        name = line[:3]
        if name in ENVELOPE and not line[3:4].isalnum():
            envelope.setdefault(name, []).append(line)
        elif (name == "MSH" and not line[3:4].isalnum()) or not groups:
            groups.append([line])
        else:
            groups[-1].append(line)
    is_batch = bool(envelope) or len(groups) > 1
    messages = [_read_message(lines) for lines in groups]
    if not messages and not is_batch:
        messages = [Message()]
    return Interchange(
        messages=tuple(messages),
        codec=codec,
        findings=collect_findings(findings, _check_envelope(envelope, len(messages))),
        file_header=_read_envelope_segment(envelope, "FHS"),
        batch_header=_read_envelope_segment(envelope, "BHS"),
        is_batch=is_batch,
    )


def _split_lines(text: str) -> list[str]:
    lines = text.replace("\r\n", "\r").replace("\n", "\r").split("\r")
    return [stripped for line in lines if (stripped := line.strip(_FRAMING))]


def _read_message(lines: list[str]) -> Message:
    findings: list[Finding] = []
    marks, header = STANDARD_DELIMITERS, None
    if lines[0].startswith("MSH"):
        marks, header = _read_header(lines, findings)
    joined = _join_continued(lines, marks.field, findings)
    segments: list[Segment] = []
    for index, line in enumerate(joined):
        if index == 0 and header is not None:
            segments.append(header)
            continue
        fields = tuple(line.split(marks.field))
        if not _SEGMENT_NAME.fullmatch(fields[0]):
            text = f"segment {index + 1} has no readable name"
            findings.append(Finding("segment_unreadable", "segment", text))
        segments.append(Segment(fields[0], fields, marks))
    return Message(tuple(segments), tuple(findings), tuple(joined))


def _join_continued(lines: list[str], mark: str, findings: list[Finding]) -> list[str]:
    """A raw line break inside a value (free text pasted by hand) is put back into that value."""
    joined = [lines[0]]
    for line in lines[1:]:
        if line[3:4] == mark or (len(line) == 3 and _SEGMENT_NAME.fullmatch(line)):
            joined.append(line)
        else:
            name = joined[-1][:3]
            findings.append(Finding("line_continued", name, f"{name}: a line break inside a value"))
            joined[-1] += "\n" + line
    return joined


def _read_header(lines: list[str], findings: list[Finding]) -> tuple[Delimiters, Segment]:
    line = lines[0]
    name, mark = line[:3], line[3:4]
    usual = next((other[3] for other in lines[1:] if _looks_like_segment(other)), "|")
    if mark == "" or (mark != usual and usual in line):
        text = f"{name}-1: no usable field separator, read with the one the other segments use"
        findings.append(Finding("delimiters_broken", f"{name}-1", text))
        rest = line[3:].removeprefix(usual)
        start = rest.split(usual)[0].find(_STANDARD)
        rest, mark = rest[max(start, 0) :], usual
    else:
        rest = line[4:]
    fields = (name, mark, *rest.split(mark))
    marks = _read_encoding_characters(fields, findings)
    return marks, Segment(name, fields, marks)


def _looks_like_segment(line: str) -> bool:
    return bool(_SEGMENT_NAME.match(line)) and len(line) > 3 and not line[3].isalnum()


def _read_encoding_characters(fields: tuple[str, ...], findings: list[Finding]) -> Delimiters:
    name, mark, declared = fields[0], fields[1], fields[2] if len(fields) > 2 else ""
    sound = (
        len(declared) in (4, 5)
        and len(set(declared)) == len(declared)
        and mark not in declared
        and all(sign.isprintable() and not sign.isalnum() and sign != " " for sign in declared)
    )
    kind = fields[9] if len(fields) > 9 else ""
    # The declared characters must also be the ones in use, or MSH-9 could not be read at all.
    in_use = not sound or declared[0] in kind or "^" not in kind
    if sound and in_use:
        return Delimiters(mark, declared[0], declared[1], declared[2], declared[3])
    text = f"{name}-2: no usable encoding characters, read with the standard ones"
    findings.append(Finding("delimiters_broken", f"{name}-2", text))
    return Delimiters(mark)


def _read_envelope_segment(envelope: dict[str, list[str]], name: str) -> Segment | None:
    lines = envelope.get(name)
    return _read_header(lines[:1], [])[1] if lines else None


def _check_envelope(envelope: dict[str, list[str]], message_count: int) -> list[Finding]:
    if not envelope:
        if message_count < 2:
            return []
        text = f"{message_count} messages without batch header and trailer"
        return [Finding("batch_unwrapped", "BHS", text)]
    findings = []
    for opening, closing in (("FHS", "FTS"), ("BHS", "BTS")):
        for present, absent in ((opening, closing), (closing, opening)):
            if present in envelope and absent not in envelope:
                text = f"{present} without {absent}: the file may be cut"
                findings.append(Finding("batch_incomplete", absent, text))
    if "BHS" not in envelope and "BTS" not in envelope:
        findings.append(Finding("batch_incomplete", "BHS", "a file without a batch"))
    batches = len(envelope.get("BHS", ()))
    if batches > 1:
        text = f"{batches} batches in one file, read as one"
        findings.append(Finding("batch_several", "BHS", text))
    if len(envelope.get("BTS", ())) == 1:
        findings += _check_count(envelope["BTS"][0], message_count, "messages")
    if len(envelope.get("FTS", ())) == 1:
        findings += _check_count(envelope["FTS"][0], batches, "batches")
    return findings


def _check_count(line: str, counted: int, noun: str) -> list[Finding]:
    place = f"{line[:3]}-1"
    stated = (line[4:].split(line[3:4] or "|", maxsplit=1)[0] if len(line) > 4 else "").strip()
    if not stated:
        return [Finding("batch_count_missing", place, f"{place}: no count; {counted} {noun} read")]
    if not (stated.isascii() and stated.isdecimal() and len(stated) < 10):
        return [Finding("batch_count_unreadable", place, f"{place}: the count is no number")]
    if int(stated) == counted:
        return []
    text = f"{place}: {int(stated)} {noun} stated, {counted} read"
    return [Finding("batch_count_mismatch", place, text)]


def unescape(raw: str, marks: Delimiters = STANDARD_DELIMITERS) -> str:
    """Resolves escape sequences (HL7 v2.5.1, 2.7); what is no known sequence stays as it is."""
    sign = marks.escape
    parts = raw.split(sign)
    if len(parts) < 3:
        return raw
    out = [parts[0]]
    index = 1
    while index < len(parts):
        if index + 1 < len(parts):
            meaning = _resolve(parts[index], marks)
            if meaning is not None:
                out.append(meaning + parts[index + 1])
                index += 2
                continue
        out.append(sign + parts[index])
        index += 1
    return "".join(out)


def escape(value: str, marks: Delimiters = STANDARD_DELIMITERS) -> str:
    """The value as it may stand in a field: delimiters and line breaks escaped."""
    names = {
        marks.field: "F",
        marks.component: "S",
        marks.subcomponent: "T",
        marks.repetition: "R",
        marks.escape: "E",
        "\r": "X0D",
        "\n": "X0A",
    }
    if not any(sign in value for sign in names):
        return value
    sign = marks.escape
    return "".join(f"{sign}{names[char]}{sign}" if char in names else char for char in value)


def _resolve(name: str, marks: Delimiters) -> str | None:
    plain = {
        "F": marks.field,
        "S": marks.component,
        "T": marks.subcomponent,
        "R": marks.repetition,
        "E": marks.escape,
        "P": "#",  # truncation character, HL7 v2.7
        "H": "",  # highlighting on and off carries no meaning
        "N": "",
    }.get(name)
    if plain is not None:
        return plain
    if name.startswith(".") and name[1:3] in ("br", "sp", "fi", "nf", "in", "ti", "sk", "ce"):
        return " " if name[1:3] == "sk" else "\n"
    if name.startswith("X") and len(name) > 1 and len(name) % 2 == 1:
        try:
            return bytes.fromhex(name[1:]).decode("utf-8", errors="replace")
        except ValueError:
            return None
    return None
