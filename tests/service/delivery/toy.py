"""A service as small as can be, to prove the delivery path by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from shared.database.tables import service_metadata, standard_tables
from shared.database.work import Work
from shared.errors import InvalidMessage
from shared.events.intake import PlaceChanged
from shared.service import ConsumerGroup, Evaluator, Service

metadata = service_metadata("toy")
standard = standard_tables(metadata)
fact = Table(
    "fact",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
)
tally = Table(
    "tally",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("facts", Integer, nullable=False),
    Column("alarms", Integer, nullable=False, server_default="0"),
)

heard = Table(
    "heard",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("times", Integer, nullable=False),
)

# Of every kind of column that many rows are written to at once.
entry = Table(
    "entry",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("owner", Text),
    Column("open", Boolean, nullable=False),
    Column("document", JSONB, nullable=False),
    Column("others", ARRAY(Uuid), nullable=False),
    Index("uq_entry_open", "owner", unique=True, postgresql_where=text("open")),
)

POISON = "poison"
FAULTY = "faulty"


async def store(work: Work, events: Sequence[PlaceChanged]) -> None:
    """Stores facts; a poisoned one can never be processed."""
    for event in events:
        if event.kind == POISON:
            raise InvalidMessage("poison")
        await work.execute(
            insert(fact).values(id=event.record_id, kind=event.kind).on_conflict_do_nothing()
        )
    work.due("tally", {event.kind for event in events})


async def hear(work: Work, events: Sequence[PlaceChanged]) -> None:
    """Adds one per event: an effect without a row that could absorb a repeat."""
    for event in events:
        statement = insert(heard).values(kind=event.kind, times=1)
        await work.execute(
            statement.on_conflict_do_update(
                index_elements=[heard.c.kind], set_={"times": heard.c.times + 1}
            )
        )


async def count(work: Work, keys: Sequence[str]) -> None:
    """Counts the facts of each kind; raises an alarm, once, where there are three."""
    for key in keys:
        if key == FAULTY:
            raise RuntimeError("this key always fails")
        found = (
            await work.execute(select(func.count()).select_from(fact).where(fact.c.kind == key))
        ).scalar_one()
        statement = insert(tally).values(kind=key, facts=found, alarms=int(found >= 3))
        await work.execute(
            statement.on_conflict_do_update(
                index_elements=[tally.c.kind],
                set_={"facts": found, "alarms": int(found >= 3)},
            )
        )
        if found >= 3:
            work.timer("remind", key, work.now())


async def remind(work: Work, keys: Sequence[str]) -> None:
    """The clock door: doubles the alarm."""
    for key in keys:
        await work.execute(
            tally.update().where(tally.c.kind == key).values(alarms=tally.c.alarms + 10)
        )


service = Service(
    name="toy",
    metadata=metadata,
    tables=standard,
    folder=Path(__file__).parent,
    consumers=(
        ConsumerGroup("facts", {PlaceChanged: store}),
        ConsumerGroup("heard", {PlaceChanged: hear}, once=True),
    ),
    evaluators={"tally": Evaluator(count, batch_max=10)},
    timers={"remind": remind},
)
