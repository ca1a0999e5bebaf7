"""Consumer groups of the embedded log: who is a member, who reads which partition.

Every partition of a group has at most one owner, written in its `group_position` row. A member
that should no longer read a partition gives it up under its own lock; only then can another
claim it. So a partition never has two readers, and a commit is one conditional UPDATE: it
succeeds exactly while the member still owns the partition.

A member lives as long as its lease. Leases are renewed by the pulse of `EmbeddedBus`, one
statement for all consumers of a process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from uuid import UUID

from sqlalchemy import text

from shared.bus.embedded_store import Heads, LogDatabase, real_instant
from shared.bus.port import BusUnavailable, Delivered, Partition
from shared.ids import new_id

logger = logging.getLogger(__name__)

# Positions and leases need no flush of their own: what a crash of PostgreSQL takes back is
# delivered again. Records are flushed before they can be read, so a position is never ahead.
UNFLUSHED = "set_config('synchronous_commit', 'off', true)"

FOUND_GROUP = text(
    "INSERT INTO bus.consumer_group (name) VALUES (:group_name) ON CONFLICT DO NOTHING"
)
LOCK_GROUP = text("SELECT 1 FROM bus.consumer_group WHERE name = :group_name FOR UPDATE")
MOVE_ON = text("UPDATE bus.consumer_group SET generation = generation + 1 WHERE name = :group_name")
EVICT = text("""
    DELETE FROM bus.group_member
    WHERE group_name = :group_name AND lease_until <= CAST(:now AS timestamptz)
""")
ENTER = text("""
    INSERT INTO bus.group_member (group_name, member, incarnation, topics, lease_until)
    VALUES (:group_name, :member, :incarnation, CAST(:topics AS text[]), :lease_until)
    ON CONFLICT (group_name, member) DO UPDATE SET incarnation = excluded.incarnation,
        topics = excluded.topics, lease_until = excluded.lease_until
""")
OPEN_POSITIONS = text("""
    INSERT INTO bus.group_position (group_name, partition_id)
    SELECT :group_name, id FROM bus.partition_head WHERE topic = ANY(CAST(:topics AS text[]))
    ORDER BY id ON CONFLICT DO NOTHING
""")
LEAVE = text("DELETE FROM bus.group_member WHERE incarnation = :incarnation")
MEMBERS = text("""
    SELECT member, incarnation, topics FROM bus.group_member
    WHERE group_name = :group_name AND lease_until > CAST(:now AS timestamptz) ORDER BY member
""")
GIVE_UP = text("""
    UPDATE bus.group_position SET owner = NULL
    WHERE group_name = :group_name AND owner = :incarnation
      AND NOT partition_id = ANY(CAST(:keep AS integer[]))
""")
CLAIM = text("""
    UPDATE bus.group_position SET owner = :incarnation
    WHERE group_name = :group_name AND partition_id = ANY(CAST(:ids AS integer[]))
      AND (owner IS NULL OR owner = :incarnation OR owner NOT IN (
          SELECT incarnation FROM bus.group_member
          WHERE group_name = :group_name AND lease_until > CAST(:now AS timestamptz)))
    RETURNING partition_id, coalesce(position, 0)
""")
COMMIT = text(f"""
    UPDATE bus.group_position AS stored SET position = wanted.position
    FROM unnest(CAST(:ids AS integer[]), CAST(:positions AS bigint[])) AS wanted(id, position)
    WHERE stored.group_name = :group_name AND stored.partition_id = wanted.id
      AND stored.owner = :incarnation
    RETURNING stored.partition_id, {UNFLUSHED}
""")  # noqa: S608 - the inserted text is a constant of this file
LAG = text("""
    SELECT head.id, greatest(
        head.next_offset - greatest(coalesce(stored.position, 0), head.first_offset), 0)
    FROM bus.partition_head AS head LEFT JOIN bus.group_position AS stored
        ON stored.partition_id = head.id AND stored.group_name = :group_name
    WHERE head.topic = ANY(CAST(:topics AS text[]))
""")


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A live member, as every other member of the group sees it."""

    name: str
    incarnation: UUID
    topics: frozenset[str]


def assign_ranges(
    partitions: Mapping[str, Sequence[int]], members: Sequence[GroupMember]
) -> dict[UUID, set[int]]:
    """Consecutive partitions of each topic for each member that reads it; same input, same answer.

    Equal partition numbers of equally cut topics go to the same member, so one person's records
    of different topics are handled by one process.
    """
    assigned: dict[UUID, set[int]] = {member.incarnation: set() for member in members}
    ordered = sorted(members, key=lambda member: member.name)
    for topic, ids in partitions.items():
        readers = [member for member in ordered if topic in member.topics]
        if not readers:
            continue
        share, extra = divmod(len(ids), len(readers))
        start = 0
        for rank, member in enumerate(readers):
            end = start + share + (1 if rank < extra else 0)
            assigned[member.incarnation].update(ids[start:end])
            start = end
    return assigned


@dataclass(frozen=True, slots=True)
class GroupTimes:
    """Seconds of real time."""

    lease_seconds: float = 10.0
    heartbeat_seconds: float = 2.0
    # A member that stopped polling for so long is taken for stuck: its lease is not renewed.
    poll_seconds: float = 300.0


@dataclass(slots=True)
class Seat:
    """What a consumer is in its group at this moment."""

    group: str
    member: str
    topics: tuple[str, ...]
    incarnation: UUID = field(default_factory=new_id)
    # Next offset to read, per owned partition id.
    reading: dict[int, int] = field(default_factory=dict)
    # Claimed, and nothing handed out since: records from an earlier ownership are not ours.
    untouched: set[int] = field(default_factory=set)


class EmbeddedConsumer:
    """A member of a group on the embedded log; made by `EmbeddedBus.consumer`."""

    def __init__(
        self, database: LogDatabase, heads: Heads, seat: Seat, *, times: GroupTimes
    ) -> None:
        self.lock = asyncio.Lock()
        self._database = database
        self._heads = heads
        self._seat = seat
        self._times = times
        self._watch = heads.watch(seat.topics)
        self._turn = 0
        self._polled_at = monotonic()
        self._refresh_wanted = asyncio.Event()
        self._refresher: asyncio.Task[None] | None = None
        self._replaced = False
        # Some of our partitions have not been given up by their old owner yet.
        self.waiting = False

    # -- reading -------------------------------------------------------------------------------

    async def poll(self, *, max_records: int, wait_seconds: float) -> list[Delivered]:
        deadline = monotonic() + wait_seconds
        if not self.alive():
            self.waiting = True  # we were away for too long and may have lost our seat
        while True:
            self._polled_at = monotonic()
            self._watch.moved.clear()
            behind = self._behind()
            if behind:
                records = await self._read(behind, max_records)
                if records:
                    return records
                continue
            remaining = deadline - monotonic()
            if remaining <= 0:
                return []
            await self._watch.wait(remaining)

    def _behind(self) -> dict[int, int]:
        """Positions of owned partitions that have more; the start rotates, so none is starved."""
        behind = [
            (partition_id, position)
            for partition_id, position in self._seat.reading.items()
            if self._heads.next_offset(partition_id) > position
        ]
        self._turn += 1
        start = self._turn % len(behind) if behind else 0
        return dict(behind[start:] + behind[:start])

    async def _read(self, behind: dict[int, int], max_records: int) -> list[Delivered]:
        ends = {partition_id: self._heads.next_offset(partition_id) for partition_id in behind}
        found = await self._heads.read_records(behind, max_records=max_records)
        complete = sum(map(len, found.values())) < max_records
        records: list[Delivered] = []
        reading = self._seat.reading
        for partition_id, position in behind.items():
            if reading.get(partition_id) != position:
                continue  # given up or rewound while we were asking
            batch = found.get(partition_id)
            if batch:
                reading[partition_id] = batch[-1].offset + 1
                self._heads.advance(partition_id, batch[-1].offset + 1)
                self._seat.untouched.discard(partition_id)
                records.extend(batch)
            elif complete:
                reading[partition_id] = ends[partition_id]  # compacted or expired up to there
        return records

    def mine(self, records: Sequence[Delivered]) -> list[Delivered]:
        places = {(record.topic, record.partition) for record in records}
        held = {place for place in places if self._holds(Partition(*place)) is not None}
        if held == places:
            return list(records)
        return [record for record in records if (record.topic, record.partition) in held]

    def _holds(self, place: Partition) -> int | None:
        partition_id = self._heads.known_id(place)
        if partition_id not in self._seat.reading or partition_id in self._seat.untouched:
            return None
        return partition_id

    async def commit(self, positions: Mapping[Partition, int]) -> bool:
        held = {
            partition_id: offset
            for place, offset in positions.items()
            if (partition_id := self._holds(place)) is not None
        }
        if not held:
            return not positions
        parameters = {
            "group_name": self._seat.group,
            "incarnation": self._seat.incarnation,
            "ids": sorted(held),
            "positions": [held[partition_id] for partition_id in sorted(held)],
        }
        async with self._database.asked_to("commit positions") as connection:
            stored = len((await connection.execute(COMMIT, parameters)).all())
        if stored < len(held):
            self.request_refresh()
        return stored == len(positions)

    def rewind(self, positions: Mapping[Partition, int]) -> None:
        for place, offset in positions.items():
            partition_id = self._holds(place)
            if partition_id is not None:
                self._seat.reading[partition_id] = offset
        self._watch.moved.set()

    def assignment(self) -> frozenset[Partition]:
        return frozenset(map(self._heads.place, self._seat.reading))

    async def lag(self) -> dict[Partition, int]:
        behind = await read_lag(self._database, self._seat.group, self._seat.topics)
        return {
            self._heads.place(partition_id): behind[partition_id]
            for partition_id in self._seat.reading
        }

    # -- membership ----------------------------------------------------------------------------

    @property
    def group(self) -> str:
        return self._seat.group

    @property
    def incarnation(self) -> UUID:
        return self._seat.incarnation

    def alive(self) -> bool:
        """Whether its lease should be renewed."""
        return not self._replaced and monotonic() - self._polled_at < self._times.poll_seconds

    async def join(self) -> None:
        """Enter the group and claim what is free; the rest follows as others give it up."""
        await self._enter()
        await self._refresh()
        self._refresher = asyncio.create_task(self._keep_fresh(), name=f"group {self.group}")

    def request_refresh(self) -> None:
        """Look at the group again soon: somebody came or went."""
        self._refresh_wanted.set()

    async def close(self) -> None:
        await self.abandon()
        self._seat.reading.clear()
        self._replaced = True
        parameters = {
            "group_name": self._seat.group,
            "incarnation": self._seat.incarnation,
            "keep": [],
        }
        try:
            async with self._database.told_to("leave the group") as connection:
                await connection.execute(LOCK_GROUP, parameters)
                await connection.execute(GIVE_UP, parameters)
                await connection.execute(LEAVE, parameters)
                await connection.execute(MOVE_ON, parameters)
        except BusUnavailable:
            logger.warning("left group %s without saying so; the lease will end", self.group)

    async def abandon(self) -> None:
        """Stop all work without leaving the group, as a process that dies does."""
        self._heads.unwatch(self._watch)
        if self._refresher is not None:
            self._refresher.cancel()
            await asyncio.gather(self._refresher, return_exceptions=True)
            self._refresher = None

    async def _enter(self) -> None:
        parameters = {
            "group_name": self._seat.group,
            "member": self._seat.member,
            "incarnation": self._seat.incarnation,
            "topics": list(self._seat.topics),
            "lease_until": real_instant(after_seconds=self._times.lease_seconds),
            "now": real_instant(),
        }
        async with self._database.told_to("join the group") as connection:
            await connection.execute(FOUND_GROUP, parameters)
            await connection.execute(LOCK_GROUP, parameters)
            await connection.execute(EVICT, parameters)
            await connection.execute(ENTER, parameters)
            await connection.execute(OPEN_POSITIONS, parameters)
            await connection.execute(MOVE_ON, parameters)

    async def _keep_fresh(self) -> None:
        while not self._replaced:
            await self._refresh_wanted.wait()
            self._refresh_wanted.clear()
            try:
                await self._refresh()
            except BusUnavailable:
                logger.warning("could not look at group %s", self.group)
                self.waiting = True  # the pulse asks again
            except Exception:  # the edge: without this task no partition would ever come or go
                logger.exception("looking at group %s failed", self.group)
                self.waiting = True

    async def _refresh(self) -> None:
        partitions = await self._heads.of_topics(self._seat.topics)
        parameters = {"group_name": self._seat.group, "now": real_instant()}
        async with self._database.asked_to("read the group") as connection:
            rows = (await connection.execute(MEMBERS, parameters)).all()
        members = [GroupMember(name, life, frozenset(topics)) for name, life, topics in rows]
        if all(member.incarnation != self._seat.incarnation for member in members):
            await self._lose_seat(members)
            return
        wanted = assign_ranges(partitions, members)[self._seat.incarnation]
        if self._seat.reading.keys() - wanted:
            async with self.lock:  # nothing of ours is between its database and its offset commit
                await self._give_up(wanted)
        if wanted - self._seat.reading.keys():
            await self._claim(wanted - self._seat.reading.keys())
        self.waiting = bool(wanted - self._seat.reading.keys())

    async def _give_up(self, wanted: set[int]) -> None:
        parameters = {
            "group_name": self._seat.group,
            "incarnation": self._seat.incarnation,
            "keep": sorted(wanted),
        }
        async with self._database.told_to("give partitions up") as connection:
            await connection.execute(GIVE_UP, parameters)
            await connection.execute(MOVE_ON, parameters)
        for partition_id in self._seat.reading.keys() - wanted:
            del self._seat.reading[partition_id]
            self._seat.untouched.discard(partition_id)

    async def _claim(self, missing: set[int]) -> None:
        parameters = {
            "group_name": self._seat.group,
            "incarnation": self._seat.incarnation,
            "ids": sorted(missing),
            "now": real_instant(),
        }
        async with self._database.asked_to("claim partitions") as connection:
            claimed = (await connection.execute(CLAIM, parameters)).all()
        for partition_id, position in claimed:
            self._seat.reading[partition_id] = position
            self._seat.untouched.add(partition_id)
        self._watch.moved.set()

    async def _lose_seat(self, members: Sequence[GroupMember]) -> None:
        """Our lease ended, or a newer process took our name: what we held is not ours any more."""
        async with self.lock:
            self._seat.reading.clear()
            self._seat.untouched.clear()
        if any(member.name == self._seat.member for member in members):
            self._replaced = True
            logger.error(
                "member %s of group %s was taken over by another process and stops reading",
                self._seat.member,
                self.group,
            )
            return
        if not self.alive():
            return  # the next poll asks for a new seat
        logger.warning("the lease of %s in group %s ended", self._seat.member, self.group)
        self._seat.incarnation = new_id()
        self.waiting = True  # should joining fail, the pulse asks again
        await self._enter()
        self.request_refresh()


async def read_lag(database: LogDatabase, group: str, topics: Sequence[str]) -> dict[int, int]:
    """Uncommitted records of `group` per partition id."""
    async with database.asked_to("read the lag") as connection:
        rows = await connection.execute(LAG, {"group_name": group, "topics": list(topics)})
        return {row[0]: row[1] for row in rows}
