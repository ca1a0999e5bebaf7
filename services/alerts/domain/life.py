"""The life of an alert: what evidence does to it, and what people do to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from services.alerts.errors import ActNotAllowed

State = Literal[
    "open", "acknowledged", "verifying", "escalated", "closed", "dismissed", "withdrawn"
]
Act = Literal["acknowledge", "verify", "escalate", "close", "dismiss"]
Step = Literal["opened", "joined", "revised", "withdrawn", "returned"]

# Ended by a person: its evidence is spent, and new evidence opens a new alert.
ENDED: frozenset[State] = frozenset({"closed", "dismissed"})
OVER: frozenset[State] = ENDED | {"withdrawn"}

ACTS: dict[Act, tuple[frozenset[State], State]] = {
    "acknowledge": (frozenset({"open"}), "acknowledged"),
    "verify": (frozenset({"open", "acknowledged"}), "verifying"),
    "escalate": (frozenset({"open", "acknowledged", "verifying"}), "escalated"),
    "close": (frozenset({"open", "acknowledged", "verifying", "escalated"}), "closed"),
    "dismiss": (frozenset({"open", "acknowledged", "verifying", "escalated"}), "dismissed"),
}


def state_after(state: State, act: Act) -> State:
    """The state once a person has done `act`; raises `ActNotAllowed`."""
    allowed, after = ACTS[act]
    if state not in allowed:
        raise ActNotAllowed(
            f"an alert that is {state} cannot be given the act {act}",
            f"possible from: {', '.join(sorted(allowed))}; read the alert again",
        )
    return after


def step_of(state: State | None, *, before: frozenset[UUID], after: frozenset[UUID]) -> Step | None:
    """What changed evidence does to the live alert of a rule and area (`state` None: there is
    none).

    `before` and `after` are the signals it rests on; none after means that the rule is silent.
    A withdrawn alert whose evidence stands again comes back as itself, and people look at it anew.
    """
    if not after:
        return None if state in (None, "withdrawn") else "withdrawn"
    if state is None:
        return "opened"
    if state == "withdrawn":
        return "returned"
    return "joined" if before < after else "revised"


def state_after_step(state: State | None, step: Step) -> State:
    """Later evidence leaves alone what people have already begun."""
    if step == "withdrawn":
        return "withdrawn"
    if step in ("opened", "returned") or state is None:
        return "open"
    return state


def same_alerts(
    stored: Sequence[frozenset[UUID]], found: Sequence[frozenset[UUID]]
) -> list[tuple[int | None, int | None]]:
    """Which of the stored alerts each found one is: the first that shares evidence with it.

    Pairs of places in both; None where one side has no other. What was two and has grown together
    is the older one, and the younger is left with nothing.
    """
    free = list(range(len(stored)))
    pairs: list[tuple[int | None, int | None]] = []
    for place, evidence in enumerate(found):
        mine = next((one for one in free if stored[one] & evidence), None)
        if mine is not None:
            free.remove(mine)
        pairs.append((mine, place))
    return [*pairs, *((one, None) for one in free)]
