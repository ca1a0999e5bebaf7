"""What was known before: versions that a later one replaced, and the journal of what was written.

A trigger keeps the old version in the very statement that overwrites it: only there is it certain
while others write too. A question as of an earlier instant reads these rows; the city in memory
takes from them what it has to forget.
"""

from __future__ import annotations

from sqlalchemy import DDL, BigInteger, Column, Index, Table, Text, Uuid, event

from services.tracing.tables import metadata
from services.tracing.tables.facts import encounter, membership, visit
from shared.database.tables import instant


def _past(fact: Table, *indexes: tuple[str, ...]) -> Table:
    """A table for the replaced versions of a fact. `replaced_by` is the batch that did it."""
    kept = [
        Column(column.name, column.type, nullable=column.nullable, primary_key=column.name == "id")
        for column in fact.columns
        if not column.name.startswith("replaced_") and column.name != "version"
    ]
    table = Table(
        f"{fact.name}_past",
        metadata,
        *kept,
        Column("version", fact.c.version.type, primary_key=True, autoincrement=False),
        Column("replaced_by", Uuid, nullable=False),
        instant("replaced_at"),
        *(Index(None, *names) for names in indexes),
        Index(None, "replaced_by"),
    )
    for statement in keeping(fact.name, [column.name for column in kept]):
        ddl = DDL(statement)  # type: ignore[no-untyped-call]
        event.listen(fact, "after_create", ddl)
    return table


def keeping(name: str, columns: list[str]) -> tuple[str, str]:
    """The function and the trigger of one table; the migration makes the same."""
    names = ", ".join([*columns, "version"])
    old = ", ".join(f"OLD.{column}" for column in [*columns, "version"])
    function = f"""
        CREATE OR REPLACE FUNCTION tracing.keep_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO tracing.{name}_past ({names}, replaced_by, replaced_at)
            VALUES ({old}, NEW.batch_id, NEW.recorded_at);
            RETURN NEW;
        END $$
    """  # noqa: S608 - names of our own tables and columns
    trigger = f"""
        CREATE OR REPLACE TRIGGER keep_past BEFORE UPDATE ON tracing.{name}
            FOR EACH ROW WHEN (OLD.version < NEW.version)
            EXECUTE FUNCTION tracing.keep_{name}()
    """
    return function, trigger


visit_past = _past(visit, ("person_id", "arrived_at"), ("place_id", "arrived_at"))
encounter_past = _past(encounter, ("person_id", "started_at"), ("other_person_id", "started_at"))
membership_past = _past(membership, ("person_id",), ("group_id",))

# One row per transaction that wrote movements or kinds of places. Whoever follows the tail asks for
# the transactions that it may not have seen, by their ids: a sequence would lose slow ones.
journal = Table(
    "journal",
    metadata,
    Column("batch_id", Uuid, primary_key=True),
    Column("what", Text, primary_key=True),
    Column("transaction_id", BigInteger, nullable=False),
    instant("written_at"),
    Index(None, "transaction_id"),
    Index(None, "written_at"),
)
