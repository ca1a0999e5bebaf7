"""The AsyncAPI 3 document of the log, made from the same models that the services use."""

from __future__ import annotations

from typing import Any

from shared.bus.envelope import EVENT_TYPES
from shared.events.base import Event
from shared.events.topics import TOPICS


def topics_of_type(event: type[Event]) -> list[str]:
    """Where events of this type are written; a policy goes to its owner's topic."""
    if event.topic in TOPICS:
        return [event.topic]
    return [name for name in TOPICS if name.endswith(f".{event.topic}")]


def schema_of(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema of one event type."""
    return event.model_json_schema(mode="validation")


def asyncapi_document() -> dict[str, Any]:
    """The whole language: one channel per topic, one message per type."""
    channels = {
        topic.name: {
            "address": topic.name,
            "description": (
                f"owner {topic.owner}; {topic.partitions} partition(s); "
                + ("compacted state" if topic.state else f"facts, {topic.retention_hours} h")
            ),
            "messages": {
                name: {"$ref": f"#/components/messages/{name}"}
                for name, event in EVENT_TYPES.items()
                if topic.name in topics_of_type(event)
            },
        }
        for topic in TOPICS.values()
    }
    operations = {
        f"receive {name}": {"action": "receive", "channel": {"$ref": f"#/channels/{name}"}}
        for name in channels
    }
    messages = {
        name: {
            "name": name,
            "summary": (event.__doc__ or "").strip().splitlines()[0],
            "contentType": "application/json",
            "bindings": {
                "kafka": {"key": {"type": "string", "description": "16 bytes: record id"}}
            },
            "payload": {"$ref": f"#/components/schemas/{name}"},
        }
        for name, event in EVENT_TYPES.items()
    }
    schemas = {name: schema_of(event) for name, event in EVENT_TYPES.items()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Outpost event log",
            "version": "1",
            "description": "CloudEvents 1.0, Kafka binding, binary mode. No personal data.",
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }
