"""Every topic of the log: its owner, its shape, who may write it."""

from __future__ import annotations

from dataclasses import dataclass

PARTITIONS = 12
FACT_RETENTION_HOURS = 30 * 24


@dataclass(frozen=True, slots=True)
class Topic:
    """State topics are compacted and kept for ever; fact topics are kept 30 days."""

    name: str
    owner: str
    state: bool
    partitions: int = PARTITIONS

    @property
    def retention_hours(self) -> int | None:
        return None if self.state else FACT_RETENTION_HOURS


TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic("intake.person.v1", "intake", state=True),
        Topic("intake.place.v1", "intake", state=True),
        Topic("intake.area.v1", "intake", state=True),
        Topic("intake.scan.v1", "intake", state=False),
        Topic("intake.encounter.v1", "intake", state=False),
        Topic("intake.report.v1", "intake", state=False),
        Topic("intake.result.v1", "intake", state=False),
        Topic("intake.declaration.v1", "intake", state=False),
        Topic("tracing.case.v1", "tracing", state=True),
        Topic("tracing.contact.v1", "tracing", state=True),
        Topic("tracing.co_location.v1", "tracing", state=False),
        Topic("quarantine.order.v1", "quarantine", state=True),
        Topic("quarantine.check.v1", "quarantine", state=False),
        Topic("quarantine.breach.v1", "quarantine", state=False),
        Topic("alerts.signal.v1", "alerts", state=False),
        # One partition: its offset is the id of the server-sent event.
        Topic("alerts.alert.v1", "alerts", state=False, partitions=1),
        *(
            Topic(f"{owner}.policy.v1", owner, state=True, partitions=1)
            for owner in ("intake", "tracing", "quarantine", "alerts")
        ),
    )
}


def dead_letter_topic(group: str) -> str:
    """Where a consumer group puts what it can never process."""
    return f"{group}.dead.v1"
