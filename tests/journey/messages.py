"""HL7 v2 files as they are, their acknowledgements, and messages broken one field at a time.

Reads ER7 in the plainest way and imports nothing of ours: it judges our reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RUBBISH = "?!"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """MSA of one answer: the code, and whose id it names."""

    code: str
    control_id: str
    text: str

    @classmethod
    def read(cls, content: bytes) -> Acknowledgement:
        found = segments(content.decode())
        assert found[0][0] == "MSH", "the answer is a message"
        assert found[0][8].split("^")[0] == "ACK", "and that message is an ACK"
        code, *rest = next(fields for fields in found if fields[0] == "MSA")[1:]
        return cls(code, rest[0] if rest else "", content.decode())


def segments(text: str) -> list[list[str]]:
    """The fields of each segment; in MSH the first mark counts as no field."""
    lines = text.lstrip("\ufeff").replace("\r\n", "\r").replace("\n", "\r").split("\r")
    return [line.split("|") for line in lines if line.strip()]


def folder(outside_data: Path, name: str) -> dict[str, bytes]:
    """The files of one collection by name, in name order."""
    return {
        path.name: path.read_bytes() for path in sorted((outside_data / "hl7" / name).iterdir())
    }


def control_id(raw: bytes) -> str:
    """MSH-10, empty where there is none."""
    header = segments(raw.decode())[0]
    return header[9] if len(header) > 9 else ""


def broken_messages(raw: bytes) -> Iterator[tuple[str, str, bytes]]:
    """(field, how, message) for every field that the message has, MSH-1 apart.

    `emptied` takes the content away, `damaged` puts signs without a meaning in its place.
    """
    lines = segments(raw.decode())
    for row, fields in enumerate(lines):
        name = fields[0]
        for number, content in enumerate(fields):
            if number == 0 or not content:
                continue
            # The field separator is itself MSH-1, so the numbers of MSH run one ahead.
            place = f"{name}-{number + 1}" if name == "MSH" else f"{name}-{number}"
            for how, value in (("emptied", ""), ("damaged", RUBBISH)):
                changed = [list(line) for line in lines]
                changed[row][number] = value
                yield place, how, "\r".join("|".join(line) for line in changed).encode()


def with_field(raw: bytes, segment: str, number: int, value: str) -> bytes:
    """The message with one field of its first such segment replaced (HL7's own numbers)."""
    lines = segments(raw.decode())
    fields = next(line for line in lines if line[0] == segment)
    fields[number - 1 if segment == "MSH" else number] = value
    return "\r".join("|".join(line) for line in lines).encode()


def without_segment(raw: bytes, name: str) -> bytes:
    lines = [line for line in segments(raw.decode()) if line[0] != name]
    return "\r".join("|".join(line) for line in lines).encode()
