"""What a person does to an alert is done by the alerts service, with that person's own session."""

from __future__ import annotations

from services.console.domain.alerts import ACTS, ACTS_WITH_REASON
from services.console.errors import CardNotFound
from services.console.handlers.board import Asking

REASON_MOST = 500


async def act_on_alert(asking: Asking, alert_id: str, act: str, reason: str) -> str:
    """Empty when done, else the word for what went wrong. Raises `CardNotFound`."""
    reason = reason.strip()[:REASON_MOST]
    if act not in ACTS:
        return "act.unknown"
    if act in ACTS_WITH_REASON and not reason:
        return "act.reason_missing"
    # Taking note needs no words of one's own; the trail still says where it was done.
    body = {"reason": reason or f"{act}, at the console"}
    answer = await asking.owners.post(
        "alerts", f"/alerts/alerts/{alert_id}/{act}", asking.credential, body
    )
    if answer.status == 404:
        raise CardNotFound("there is no such alert in your areas")
    if answer.fine:
        return ""
    return {403: "act.forbidden", 409: "act.too_late", 0: "act.away"}.get(
        answer.status, "act.failed"
    )
