"""What was odd about a message. A finding is kept and listed; it never refuses a message."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One warning.

    `code` is a stable word to count by, `field` names the place (`PV1-19`, `MSH-9`, `BTS-1`, or a
    segment), `text` is for people. No text quotes a value of the message: values may be personal.
    """

    code: str
    field: str
    text: str


def collect_findings(*groups: Iterable[Finding]) -> tuple[Finding, ...]:
    """All findings of the groups in order, each once."""
    return tuple(dict.fromkeys(finding for group in groups for finding in group))
