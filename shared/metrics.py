"""Every metric, typed and in one place; `docs/operations.md` explains what to alarm on."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

INTAKE_ROWS = Counter(
    "outpost_rows", "Rows by door and fate", ["service", "door", "fate"], registry=REGISTRY
)
EVENTS_CONSUMED = Counter(
    "outpost_events_consumed", "Events applied", ["group", "type"], registry=REGISTRY
)
EVENTS_SKIPPED = Counter(
    "outpost_events_skipped", "Events of unknown types", ["group"], registry=REGISTRY
)
EVENTS_DEAD = Counter("outpost_events_dead", "Events put aside", ["group"], registry=REGISTRY)
EVENTS_RELAYED = Counter("outpost_events_relayed", "Events sent", ["service"], registry=REGISTRY)
CONSUMER_FAILURES = Counter(
    "outpost_consumer_failures", "Batches rolled back", ["group"], registry=REGISTRY
)
OUTBOX_OLDEST = Gauge(
    "outpost_outbox_oldest_seconds",
    "Age of the oldest unsent event",
    ["service"],
    registry=REGISTRY,
)
CONSUMER_LAG = Gauge("outpost_consumer_lag", "Records not applied", ["group"], registry=REGISTRY)
EVENT_AGE = Gauge(
    "outpost_oldest_unprocessed_seconds",
    "Age of the oldest unapplied event",
    ["group"],
    registry=REGISTRY,
)
DUE_WAITING = Gauge("outpost_due_waiting", "Due rows waiting", ["service"], registry=REGISTRY)
DUE_FAILURES = Counter("outpost_due_failures", "Evaluations failed", ["kind"], registry=REGISTRY)
TIMERS_FIRED = Counter("outpost_timers_fired", "Timers fired", ["kind"], registry=REGISTRY)
REQUEST_SECONDS = Histogram(
    "outpost_request_seconds",
    "HTTP answers",
    ["service", "route", "status"],
    registry=REGISTRY,
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
CITY_VISITS = Gauge("outpost_city_visits", "Visits in memory; 0: SQL answers", registry=REGISTRY)
CITY_BYTES = Gauge("outpost_city_bytes", "Memory of the city's arrays", registry=REGISTRY)
CITY_AGE = Gauge("outpost_city_age_seconds", "Since the city's last refresh", registry=REGISTRY)
QUESTION_SECONDS = Histogram(
    "outpost_question_seconds",
    "Questions to tracing by the engine that answered",
    ["engine"],
    registry=REGISTRY,
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
)
WATCHED_STAYS = Gauge(
    "outpost_watched_stays", "Stays of cases in memory; 0: SQL answers, or no case stands",
    registry=REGISTRY,
)  # fmt: skip
LIVE_DECISIONS = Counter(
    "outpost_live_decisions",
    "Batches of visits held against the stays of cases, by what answered",
    ["engine"],
    registry=REGISTRY,
)
STREAM_VIEWERS = Gauge("outpost_stream_viewers", "Open alert streams", registry=REGISTRY)
