"""Run by Alembic for one target at a time; `shared.database.migrate` hands in what to run on."""

from __future__ import annotations

from alembic import context

context.configure(**context.config.attributes["options"])
with context.begin_transaction():
    context.run_migrations()
