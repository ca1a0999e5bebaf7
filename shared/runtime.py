"""Picks the adapters, starts, drains and stops. The only module that chooses what is real.

`python -m services` and `python -m services.tracing` differ in the services they hand to `main`.
"""

from __future__ import annotations

import asyncio
import gc
import math
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

import uvicorn
import uvloop
from fastapi import FastAPI

from shared.access import Credentials
from shared.bus.port import Bus, TopicShape
from shared.clock import Clock, FastClock, SystemClock
from shared.database.work import Actor
from shared.delivery.consumer import ConsumerLoop
from shared.delivery.due import DueLoop, lanes_of
from shared.delivery.faults import Faults, NoFaults
from shared.delivery.inbox import forget_old
from shared.delivery.observation import observe
from shared.delivery.relay import Relay
from shared.delivery.slots import Slots
from shared.delivery.supervision import supervise
from shared.delivery.timers import TimerLoop
from shared.events.topics import FACT_RETENTION_HOURS, PARTITIONS, TOPICS, dead_letter_topic
from shared.front import Front, build_front
from shared.ground import Ground
from shared.http import build_app
from shared.log import configure_log, logger
from shared.policy import read_presets, store_policy
from shared.pressure import Pressure
from shared.service import Room, Service
from shared.settings import Settings

LOG = logger("runtime")
# Longer than clients and proxies keep an idle connection (httpx: 5 s, nginx: 60 s): one that we
# close at the moment of its next use costs its sender a request.
KEEP_ALIVE_SECONDS = 75
MAINTAIN_SECONDS = 60.0


class Runtime:
    """Some services in one process: on one PostgreSQL, one log, one port."""

    def __init__(
        self,
        services: Sequence[Service],
        settings: Settings,
        *,
        clock: Clock | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.services = services
        self.settings = settings
        self.clock = clock or _clock_of(settings)
        self.ground = Ground(services, settings, self.clock)
        self.consumers: list[ConsumerLoop] = []
        self.rooms: dict[str, Room] = {}
        self._faults = faults or NoFaults()
        self._tasks: list[asyncio.Task[None]] = []
        self._bus: Bus | None = None
        self._front: Front | None = None
        self._server: uvicorn.Server | None = None
        self._port = settings.http_port

    @property
    def bus(self) -> Bus:
        assert self._bus is not None, "the runtime has not started"
        return self._bus

    @property
    def front(self) -> Front:
        """The ASGI application of all services behind one port."""
        assert self._front is not None, "the runtime has not started"
        return self._front

    @property
    def base_url(self) -> str:
        return f"http://{self.settings.http_host}:{self._port}"

    async def start(self, *, http: bool = True) -> None:
        """Everything up, in the order in which each needs the one before."""
        started = time.monotonic()
        await self.ground.open()
        self._bus = self._choose_bus()
        await self._bus.start()
        await self._bus.ensure_topics(topic_shapes(self.services))
        await self._load_presets()
        slots = self._start_slots()
        await asyncio.wait_for(slots.first_taken.wait(), timeout=30)
        self._front = build_front(self._build_apps(), self)
        if http:
            await self._serve()
        for service in self.services:
            if service.prepare is not None:
                await service.prepare(self.rooms[service.name])
        await self._start_loops(slots)
        LOG.info("ready", seconds=round(time.monotonic() - started, 2), port=self._port)

    def _choose_bus(self) -> Bus:
        if self.settings.embedded_log:
            # One pool for the whole process: the log is not a service's own table.
            from shared.bus.embedded import EmbeddedBus

            engine = self.ground.engine_for(self.services[0].name, size=self.settings.pool_size)
            return EmbeddedBus(engine)
        from shared.bus.kafka import KafkaBus, KafkaOptions

        return KafkaBus(
            KafkaOptions(
                self.settings.kafka_brokers, replication_factor=self.settings.kafka_replication
            )
        )

    async def _load_presets(self) -> None:
        for service in self.services:
            files = read_presets(service.folder / "presets", service.policies)
            async with self.ground.databases[service.name].work(Actor("command")) as work:
                for file in files:
                    await store_policy(work, service.tables, file, state="active")

    def _start_slots(self) -> Slots:
        names = [service.name for service in self.services]
        engine = self.ground.engine_for(names[0], size=1)
        slots = Slots(engine, names, most=self.settings.member_slots)
        self._spawn("slots", slots.run)
        return slots

    def _build_apps(self) -> dict[str, FastAPI]:
        apps: dict[str, FastAPI] = {}
        pressure = Pressure()
        for service in self.services:
            database = self.ground.databases[service.name]
            room = Room(
                service.name,
                database,
                self.bus,
                self.clock,
                self.settings,
                _Freshness(self, service),
                pressure=pressure,
            )
            room.extras["secrets"] = self.ground.secrets
            room.extras["base_url"] = lambda: self.base_url
            self.rooms[service.name] = room
            credentials = Credentials(database.engine, self.ground.secrets.session)
            apps[service.name] = build_app(service, room, credentials)
        return apps

    async def _start_loops(self, slots: Slots) -> None:
        for service in self.services:
            name, database = service.name, self.ground.databases[service.name]
            publisher = await self.bus.publisher(name)
            relay = Relay(
                database,
                publisher,
                faults=self._faults,
                holds_slot=partial(slots.holds_relay, name),
            )
            self._spawn(f"{name}.relay", relay.run)
            for group in service.consumers:
                loop = ConsumerLoop(
                    group,
                    self.rooms[name],
                    member=partial(slots.member, name),
                    faults=self._faults,
                )
                self.consumers.append(loop)
                self._spawn(loop.name, loop.run)
            self._spawn(f"{name}.observation", partial(observe, database))
            for lane in lanes_of(service):
                due = DueLoop(database, service.evaluators, faults=self._faults, lane=lane)
                self._spawn(f"{name}.{lane or 'due'}", due.run)
            if service.timers:
                self._spawn(f"{name}.timers", TimerLoop(database, service.timers).run)
            for purpose, run in service.background.items():
                room = self.rooms[name]
                self._spawn(f"{name}.{purpose}", partial(run, room))
        self._spawn("postgresql", self.ground.watch)
        self._spawn("maintenance", self._maintain)

    async def _maintain(self) -> None:
        """Retention and compaction of the embedded log; Kafka does its own."""
        while True:
            await asyncio.sleep(MAINTAIN_SECONDS)
            await self.bus.maintain()
            for database in self.ground.databases.values():
                await forget_old(database)

    def _spawn(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(supervise(name, run), name=name))

    async def _serve(self) -> None:
        config = uvicorn.Config(
            self.front,
            host=self.settings.http_host,
            port=self._port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=3,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._server = _Server(config)
        task = asyncio.create_task(self._server.serve(), name="http")
        self._tasks.append(task)
        while not self._server.started:
            if task.done():
                task.result()
                raise RuntimeError("the HTTP server ended before it had started")
            await asyncio.sleep(0.01)
        self._port = self._server.servers[0].sockets[0].getsockname()[1]

    async def wait_closed(self) -> None:
        """Until the HTTP server has ended; whoever stops waiting does not end it."""
        for task in self._tasks:
            if task.get_name() == "http":
                await asyncio.shield(task)

    async def stop(self) -> None:
        """Doors first, then the loops, then the log, then the ground."""
        if self._server is not None:
            self._server.should_exit = True
            with suppress(asyncio.CancelledError):
                await self.wait_closed()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._bus is not None:
            await self._bus.stop()
        await self.ground.close()


class _Server(uvicorn.Server):
    """Leaves signals to `live`: uvicorn's own way raises SIGTERM again once the server has ended,
    which kills the process before the loops have drained and PostgreSQL is stopped."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Freshness:
    """How long ago a group of this process had nothing left to apply."""

    def __init__(self, runtime: Runtime, service: Service) -> None:
        self._runtime = runtime
        self._service = service

    def stale_seconds(self, purpose: str) -> float:
        """Endless until the group has caught up once: nobody knows how old the copies are that a
        process finds when it starts, and a verdict by them must not say pass."""
        name = f"{self._service.name}.{purpose}"
        for loop in self._runtime.consumers:
            if loop.name == name and loop.caught_up_at is not None:
                return time.monotonic() - loop.caught_up_at
        return math.inf


def topic_shapes(services: Sequence[Service]) -> list[TopicShape]:
    """Every topic of the language, and the dead letters of these services' groups."""
    shapes = [
        TopicShape(topic.name, topic.partitions, topic.state, topic.retention_hours)
        for topic in TOPICS.values()
    ]
    for service in services:
        for group in service.consumers:
            name = dead_letter_topic(f"{service.name}.{group.purpose}")
            shapes.append(TopicShape(name, PARTITIONS, False, FACT_RETENTION_HOURS))
    return shapes


def _clock_of(settings: Settings) -> Clock:
    if settings.clock_start_at is None:
        return SystemClock()
    return FastClock(settings.clock_start_at, speed=settings.clock_speed)


async def live(runtime: Runtime) -> None:
    """Start, serve until SIGTERM or SIGINT, stop; a second signal ends the process at once."""
    loop, told_to_end = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told_to_end.set)
    serving = asyncio.create_task(_serve_for_ever(runtime))
    telling = asyncio.create_task(told_to_end.wait())
    try:
        await asyncio.wait([serving, telling], return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        for task in (serving, telling):
            task.cancel()
        await asyncio.gather(serving, telling, return_exceptions=True)
        await runtime.stop()


async def _serve_for_ever(runtime: Runtime) -> None:
    await runtime.start()
    # What stands now stands for good: looking through it at every full collection took a fifth of
    # the processor under load. Batches of a thousand rows are young for longer than 700 objects.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    await runtime.wait_closed()


async def run(services: Sequence[Service], settings: Settings) -> None:
    """The life of a process with these services."""
    configure_log(level=settings.log_level, style=settings.log_format)
    await live(Runtime(services, settings))


def main(*services: Service) -> None:
    """The entry of `python -m services…`: settings from the environment, until a signal."""
    uvloop.run(run(services, Settings.load()))
