"""Topics and offsets of a Kafka cluster, asked for from outside any group."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidReplicationFactorError,
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    for_code,
)

from shared.bus.kafka_client import KafkaOptions, answering, end_client, start_client
from shared.bus.port import BusUnavailable, Partition, TopicShape
from shared.errors import ConfigurationError

logger = logging.getLogger(__name__)

HOUR_MS = 3_600_000


class KafkaInspector:
    """One admin client and one consumer without a group, made anew after every failure."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._admin: Any = None
        self._reader: Any = None
        self._building = asyncio.Lock()

    async def start(self) -> None:
        """Connect, trying for `start_seconds`."""
        async with self._building:
            if self._admin is None:
                self._admin = await start_client(
                    lambda: AIOKafkaAdminClient(
                        **self._options.connection(),
                        request_timeout_ms=self._options.request_timeout_ms,
                    ),
                    seconds=self._options.start_seconds,
                    purpose="reach Kafka",
                )
            if self._reader is None:
                self._reader = await start_client(
                    lambda: AIOKafkaConsumer(group_id=None, **self._options.reading()),
                    seconds=self._options.start_seconds,
                    purpose="reach Kafka",
                )

    async def close(self) -> None:
        admin, self._admin = self._admin, None
        reader, self._reader = self._reader, None
        for client in (admin, reader):
            if client is not None:
                await end_client(client)

    @asynccontextmanager
    async def _asking(self, purpose: str) -> AsyncIterator[None]:
        await self.start()
        try:
            async with answering(self._options.answer_seconds, purpose):
                try:
                    yield
                except AttributeError as error:  # the admin client has no controller just now
                    raise BusUnavailable(f"could not {purpose}: no controller") from error
        except BusUnavailable:
            await self.close()
            raise

    async def partitions_of(self, topics: Sequence[str]) -> dict[str, int]:
        """The number of partitions of each topic; each must exist and have its leaders."""
        async with self._asking("describe topics"):
            described = await self._admin.describe_topics(list(topics))
        ready = {
            topic["topic"]: len(topic["partitions"])
            for topic in described
            if topic["error_code"] == 0
            and topic["partitions"]
            and all(partition["leader"] >= 0 for partition in topic["partitions"])
        }
        missing = set(topics) - ready.keys()
        if missing:
            raise BusUnavailable(f"no leader for {', '.join(sorted(missing))}")
        return ready

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The next offset to be written."""
        places = [TopicPartition(place.topic, place.number) for place in partitions]
        async with self._asking("read the ends of the log"):
            found = await self._reader.end_offsets(places)
        return {Partition(place.topic, place.partition): end for place, end in found.items()}

    async def lag(self, group: str, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Kept records at or after the committed offset of `group`."""
        places = [TopicPartition(place.topic, place.number) for place in partitions]
        if not places:
            return {}
        async with self._asking("read the lag"):
            committed = await self._admin.list_consumer_group_offsets(group, partitions=places)
            firsts = await self._reader.beginning_offsets(places)
            ends = await self._reader.end_offsets(places)
        behind = {}
        for place in places:
            stored = committed.get(place)
            # Kafka says -1 for a group that has never committed.
            position = max(stored.offset if stored is not None else 0, firsts[place], 0)
            behind[Partition(place.topic, place.partition)] = max(ends[place] - position, 0)
        return behind

    async def ensure(self, shapes: Sequence[TopicShape]) -> None:
        """Create what is missing, wait until it can be used, compare what was there already."""
        counts = await self._create_patiently(shapes)
        settings = await self._settings([shape.name for shape in shapes])
        for shape in shapes:
            _compare(shape, partitions=counts[shape.name], settings=settings[shape.name])

    async def _create_patiently(self, shapes: Sequence[TopicShape]) -> dict[str, int]:
        deadline = monotonic() + self._options.start_seconds
        while True:
            try:
                await self._create(shapes)
                return await self.partitions_of([shape.name for shape in shapes])
            except BusUnavailable:
                if monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def _create(self, shapes: Sequence[TopicShape]) -> None:
        async with self._asking("create topics"):
            existing = set(await self._admin.list_topics())
            missing = [shape for shape in shapes if shape.name not in existing]
            if not missing:
                return
            answer = await self._admin.create_topics([self._new_topic(each) for each in missing])
        for name, code, *reason in answer.topic_errors:
            error = for_code(code)
            # A topic that exists is an error code here and no exception: another process was first.
            if error in {NoError, TopicAlreadyExistsError}:
                continue
            if error is InvalidReplicationFactorError or getattr(error, "retriable", False):
                raise BusUnavailable(f"could not create topic {name}: {error.__name__}")
            raise ConfigurationError(
                f"Kafka refuses topic {name}: {error.__name__} {reason}",
                advice="Check the rights of this service and the cluster's topic policy.",
            )

    def _new_topic(self, shape: TopicShape) -> NewTopic:
        copies = self._options.replication_factor
        settings = _topic_settings(shape)
        if copies >= 3:
            settings["min.insync.replicas"] = "2"
        return NewTopic(shape.name, shape.partitions, copies, topic_configs=settings)

    async def _settings(self, topics: Sequence[str]) -> dict[str, dict[str, str]]:
        names = {"cleanup.policy": None, "retention.ms": None}
        resources = [ConfigResource(ConfigResourceType.TOPIC, topic, names) for topic in topics]
        async with self._asking("read the settings of topics"):
            answers = await self._admin.describe_configs(resources)
            found: dict[str, dict[str, str]] = {}
            for answer in answers:
                for code, _, _, topic, entries in answer.resources:
                    if code != 0:
                        raise KafkaError(f"{topic}: {for_code(code).__name__}")
                    found[topic] = {entry[0]: entry[1] for entry in entries}
        return found


def _topic_settings(shape: TopicShape) -> dict[str, str]:
    kept_ms = -1 if shape.retention_hours is None else shape.retention_hours * HOUR_MS
    return {
        "cleanup.policy": "compact" if shape.compacted else "delete",
        "retention.ms": str(kept_ms),
    }


def _compare(shape: TopicShape, *, partitions: int, settings: dict[str, str]) -> None:
    wanted = {"partitions": str(shape.partitions), **_topic_settings(shape)}
    found = {"partitions": str(partitions), **settings}
    differences = [
        f"{name} is {found.get(name)}, should be {value}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
    if differences:
        raise ConfigurationError(
            f"topic {shape.name}: {'; '.join(differences)}",
            advice="Change it deliberately: an ordered topic keeps its partitions.",
        )
