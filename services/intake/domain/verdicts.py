"""What a checkpoint tells a person: hold, check or pass, with a reason that can be said aloud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

VerdictCode = Literal["hold", "check", "pass"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is a key of `REASONS`."""

    code: VerdictCode
    reason: str


# Said in front of others: no text names a disease or says that somebody is ill.
REASONS: dict[str, dict[str, str]] = {
    reason: {"code": reason, "zh": zh, "en": en}
    for reason, zh, en in (
        ("order", "请稍候，工作人员将为您办理。", "Please wait, a member of staff will help you."),
        ("case", "请稍候，工作人员将为您办理。", "Please wait, a member of staff will help you."),
        (
            "fever",
            "您的体温偏高，请到一旁复测。",
            "Your temperature is raised, please step aside for a second reading.",
        ),
        (
            "permit",
            "请出示您的通行证明，核对后放行。",
            "Please show your permit; you may pass once it is checked.",
        ),
        (
            "unknown_person",
            "系统中没有您的登记信息，请登记后通行。",
            "We have no registration for you; please register before you pass.",
        ),
        (
            "no_person",
            "没有读到身份信息，请重新扫码或人工登记。",
            "No identity was read; please scan again or register by hand.",
        ),
        (
            "stale_copy",
            "系统信息暂未更新，请人工核对。",
            "Our records are not up to date at the moment; please check by hand.",
        ),
        ("clear", "请通行。", "Please pass."),
        ("withdrawn", "该记录已撤回。", "This record was withdrawn."),
    )
}


@dataclass(frozen=True, slots=True)
class Restriction:
    """A period in which a person is under an order, or a case. `until_at` None: no end is known."""

    kind: Literal["order", "case"]
    from_at: datetime
    until_at: datetime | None
    allowed_place_ids: frozenset[UUID] = frozenset()

    def covers(self, at: datetime) -> bool:
        return self.from_at <= at and (self.until_at is None or at <= self.until_at)


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """One scan with what is known about its person; instants are UTC, event time."""

    occurred_at: datetime
    place_id: UUID
    person: Literal["known", "placeholder", "none"]
    permit: bool
    fever: bool
    restrictions: Sequence[Restriction]
    copies_stale: bool


def judge_scan(facts: CheckpointFacts) -> Verdict:
    """The strictest reason wins: hold before check before pass.

    A person under order is where the order allows: no reason to hold. With a permit named on the
    scan somebody must look at the permit, because intake cannot know whether it is true.
    """
    now = [one for one in facts.restrictions if one.covers(facts.occurred_at)]
    held = [one for one in now if facts.place_id not in one.allowed_place_ids]
    if any(one.kind == "case" for one in held) and not facts.permit:
        return Verdict("hold", "case")
    if held and not facts.permit:
        return Verdict("hold", "order")
    if facts.fever:
        return Verdict("hold", "fever")
    if held:
        return Verdict("check", "permit")
    if facts.person == "none":
        return Verdict("check", "no_person")
    if facts.person == "placeholder":
        return Verdict("check", "unknown_person")
    if facts.copies_stale:
        return Verdict("check", "stale_copy")
    return Verdict("pass", "clear")
