"""What people do to an alert."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from services.alerts.domain.life import Act, state_after
from services.alerts.errors import AlertNotFound
from services.alerts.handlers.telling import alert_event
from services.alerts.repository.alerts import find_alert, pair_lock, update_alerts
from shared.access import Viewer
from shared.database.work import AuditDetails, Work
from shared.events.alerts import AlertChanged

NOT_FOUND = "there is no such alert in your areas"


@dataclass(frozen=True, slots=True)
class Acting:
    """A person does `act` for a stated reason; the reason stays in the trail and never goes on the
    log."""

    alert_id: UUID
    act: Act
    reason: str


async def act_on_alert(work: Work, viewer: Viewer, acting: Acting) -> AlertChanged:
    """The alert's new version. Raises `AlertNotFound` and `ActNotAllowed`."""
    found = await find_alert(work, viewer, acting.alert_id)
    if found is None:
        raise AlertNotFound(NOT_FOUND)
    # The evaluator writes under this lock: without it, evidence joining just now would undo what
    # the person did.
    await work.lock(pair_lock((found.rule_id, found.area_id)))
    current = await find_alert(work, viewer, acting.alert_id)
    if current is None:
        raise AlertNotFound(NOT_FOUND)
    row = {
        name: value for name, value in current._mapping.items() if not name.startswith("area_name")
    }
    row |= {
        "state": state_after(current.state, acting.act),
        "record_version": current.record_version + 1,
        "changed_at": work.now(),
        "reason": f"{acting.act} by {viewer.subject}",
        "cause_id": None,
    }
    await update_alerts(work, [row])
    event = alert_event(row)
    work.announce(event)
    work.audit(
        f"alert_{acting.act}",
        "alert",
        current.id,
        version=event.record_version,
        details=AuditDetails(
            area_id=current.area_id,
            reason=acting.reason,
            policy=f"{current.rule_id}@{current.rule_version}",
        ),
    )
    return event
