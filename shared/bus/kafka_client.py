"""How every aiokafka object of ours is configured, started, bounded and ended.

aiokafka waits for ever in several places and reports an absent broker in a dozen ways; here each
conversation gets a bound and each absence becomes `BusUnavailable`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ssl import SSLContext
from time import monotonic
from typing import Any, Protocol, TypeVar

from aiokafka.errors import ConsumerStoppedError, IllegalOperation, KafkaError

from shared.bus.port import BusUnavailable

logger = logging.getLogger(__name__)

STOP_SECONDS = 5.0
# For ever: see `wait_until_read`.
PREFETCH_AFTER_SECONDS = 86_400.0
INNER_TASKS = (
    "_sender_task",
    "_fetch_task",
    "_heartbeat_task",
    "_commit_refresh_task",
    "_coordination_task",
)


class Startable(Protocol):
    """A consumer, producer or admin client of aiokafka."""

    async def start(self) -> None: ...


Client = TypeVar("Client", bound=Startable)


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """Where the brokers are and how long we wait for them; times of the group are Kafka's own."""

    bootstrap_servers: str
    client_id: str = "outpost"
    # 3 in production; min.insync.replicas is then 2.
    replication_factor: int = 1
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_context: SSLContext | None = None
    start_seconds: float = 60.0
    # One answer of a broker, also to a publish or a commit.
    answer_seconds: float = 15.0
    request_timeout_ms: int = 10_000
    session_timeout_ms: int = 30_000
    heartbeat_interval_ms: int = 3_000
    rebalance_timeout_ms: int = 30_000
    # An empty fetch is asked anew so often: of a dozen groups, at a millisecond each.
    fetch_max_wait_ms: int = 500
    # The watchdog builds a consumer anew that has had no answer, or no assignment, for so long.
    watchdog_seconds: float = 45.0

    def connection(self) -> dict[str, Any]:
        """Keyword arguments that every client takes."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": self.client_id,
            "metadata_max_age_ms": 30_000,
            "security_protocol": self.security_protocol,
            "ssl_context": self.ssl_context,
        }
        if self.sasl_username is not None:
            arguments |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        return arguments

    def reading(self) -> dict[str, Any]:
        """Keyword arguments of every consumer, in a group or not."""
        return self.connection() | {
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "isolation_level": "read_committed",
            # Must exceed the rebalance timeout, or joining a group loops.
            "request_timeout_ms": self.rebalance_timeout_ms + 10_000,
            "max_poll_records": 500,
            "fetch_max_wait_ms": self.fetch_max_wait_ms,
        }


@asynccontextmanager
async def answering(seconds: float, purpose: str) -> AsyncIterator[None]:
    """Bound a conversation with the brokers; whatever goes wrong in it is `BusUnavailable`.

    `CancelledError` passes only if our own task is being cancelled: aiokafka lets that of its
    inner tasks escape when a connection dies.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise BusUnavailable(f"could not {purpose} within {seconds:.0f} s") from error
    except (KafkaError, ConsumerStoppedError, IllegalOperation, OSError) as error:
        raise BusUnavailable(f"could not {purpose}: {type(error).__name__}") from error
    except asyncio.CancelledError as error:
        if being_cancelled():
            raise
        raise BusUnavailable(f"could not {purpose}: the connection was given up") from error


def being_cancelled() -> bool:
    """Whether somebody asked the task we run in to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def start_client(make: Callable[[], Client], *, seconds: float, purpose: str) -> Client:
    """A started client. Each attempt takes a new object: a failed one cannot be started again."""
    deadline = monotonic() + seconds
    while True:
        client = make()
        try:
            async with answering(max(deadline - monotonic(), 0.1), purpose):
                await client.start()
            return client
        except BaseException as error:
            await end_client(client)
            if not isinstance(error, BusUnavailable) or monotonic() + 0.5 > deadline:
                raise
            logger.info("%s; trying again", error)
        await asyncio.sleep(0.3)


def wait_until_read(consumer: Any) -> None:
    """Let a started consumer ask for more only when everything it has was taken.

    After a tenth of a second it would ask for the partitions of which it has nothing: that fetch
    waits for its full time, and news on all others with it. A consumer that was slow once, then
    finds more than it can do in a tenth of a second, and stays slow.
    """
    # It has no argument for this.
    consumer._fetcher._prefetch_backoff = PREFETCH_AFTER_SECONDS  # noqa: SLF001


async def end_client(client: Any) -> None:
    """Stop whatever this is, within a bound, and leave no task of it behind.

    A producer that cannot flush is torn down by force: its sender would otherwise wait for the
    broker's return and then send old batches in among newer ones.
    """
    stop: Callable[[], Awaitable[None]] = getattr(client, "stop", None) or client.close
    if await _ended(stop):
        return
    for part in ("_sender", "_coordinator", "_fetcher", "client", "_client"):
        holder = getattr(client, part, None)
        if holder is None:
            continue
        for name in INNER_TASKS:
            task = getattr(holder, name, None)
            if isinstance(task, asyncio.Task):
                task.cancel()
        await _ended(holder.close)


async def _ended(close: Callable[[], Awaitable[None]]) -> bool:
    """Whether it closed in order. `CancelledError` counts as disorder unless it is meant for us."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await close()
    except asyncio.CancelledError:
        if being_cancelled():
            raise
        return False
    except Exception as error:  # noqa: BLE001 - it is thrown away whatever its last words are
        logger.info("a Kafka client ended with %s", type(error).__name__)
        return False
    return True
