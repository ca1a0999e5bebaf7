"""The same rows into a table of the same shape, with nothing around it: what the database gives."""

from __future__ import annotations

import os
import time
from datetime import date
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import real_now
from shared.ids import new_id

BATCH = 100
SHAPE = "CREATE TABLE intake.bench_scan (LIKE intake.scan INCLUDING ALL)"


def rows_of(columns: list[str]) -> list[tuple[Any, ...]]:
    """A hundred scans as intake stores them."""
    now = real_now()
    found = []
    for number in range(BATCH):
        row = {
            "record_id": new_id(), "revision": 1, "source_id": new_id(),
            "external_id": f"a-1234-{number}", "day": date(2026, 1, 1),
            "fingerprint": os.urandom(16), "status": "recorded", "occurred_at": now,
            "recorded_at": now, "flags": "", "person_id": new_id(), "place_id": new_id(),
            "left_at": None, "temperature_c": 36.5, "fever": False, "permit": None,
            "verdict": "pass", "reason": "clear", "policy": "checkpoint-fever@1",
        }  # fmt: skip
        found.append(tuple(row[name] for name in columns))
    return found


async def copy_rows_per_second(engine: AsyncEngine, *, seconds: float) -> float:
    """COPY of 100 rows per transaction, one connection after the other's commit."""
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        driver = raw.driver_connection
        assert isinstance(driver, asyncpg.Connection)
        await driver.execute(SHAPE)
        try:
            listed = await driver.fetch(
                "SELECT attname FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped"
                " AND attrelid = 'intake.bench_scan'::regclass ORDER BY attnum"
            )
            columns = [row["attname"] for row in listed]
            started, count = time.perf_counter(), 0
            while time.perf_counter() - started < seconds:
                rows = rows_of(columns)
                await driver.copy_records_to_table(
                    "bench_scan", schema_name="intake", records=rows, columns=columns
                )
                count += BATCH
            return count / (time.perf_counter() - started)
        finally:
            await driver.execute("DROP TABLE intake.bench_scan")
