"""The sums that must be equal: what was told to senders, and what the tables hold."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import text

from shared.access import EVERYWHERE, Viewer
from shared.database.work import ReadSession

_BALANCE = """
WITH told AS (
    SELECT source_id, day, door, sum(received) AS received, sum(stored) AS stored,
           sum(duplicate) AS duplicate, sum(rejected) AS rejected
    FROM intake.tally WHERE day >= :since GROUP BY source_id, day, door
), kept AS (
    SELECT source_id, day, 'scans' AS door, count(*) AS rows FROM intake.scan
    WHERE day >= :since GROUP BY 1, 2
    UNION ALL SELECT source_id, day, 'reports', count(*) FROM intake.report
    WHERE day >= :since GROUP BY 1, 2
    UNION ALL SELECT source_id, day, 'encounters', count(*) FROM intake.encounter
    WHERE day >= :since GROUP BY 1, 2
    UNION ALL SELECT source_id, day, 'memberships', count(*) FROM intake.membership
    WHERE day >= :since GROUP BY 1, 2
    UNION ALL SELECT source_id, day, 'results', count(*) FROM intake.result
    WHERE day >= :since GROUP BY 1, 2
    UNION ALL SELECT source_id, day, 'case-lists', count(*) FROM intake.declaration
    WHERE day >= :since GROUP BY 1, 2
    UNION ALL SELECT source_id, day, 'link-lists', count(*) FROM intake.link
    WHERE day >= :since GROUP BY 1, 2
    UNION ALL SELECT counted_source_id, day, 'hl7v2', count(*) FROM intake.message
    WHERE state <> 'refused' AND day >= :since GROUP BY 1, 2
), refused AS (
    SELECT source_id, day, door, count(*) AS rows FROM intake.rejected_row
    WHERE day >= :since GROUP BY 1, 2, 3
    UNION ALL SELECT counted_source_id, day, 'hl7v2', count(*) FROM intake.message
    WHERE state = 'refused' AND day >= :since GROUP BY 1, 2
), named AS (
    SELECT source_id, day, door FROM told
    UNION SELECT source_id, day, door FROM kept
    UNION SELECT source_id, day, door FROM refused
)
SELECT named.source_id, source.name AS source_name, place.area_id, named.day, named.door,
       coalesce(told.received, 0) AS received, coalesce(told.stored, 0) AS stored,
       coalesce(told.duplicate, 0) AS duplicate,
       coalesce(told.rejected, 0) AS rejected,
       coalesce(kept.rows, 0) AS stored_rows, coalesce(refused.rows, 0) AS rejected_rows
FROM named
LEFT JOIN told ON told.source_id IS NOT DISTINCT FROM named.source_id
    AND told.day = named.day AND told.door = named.door
LEFT JOIN kept ON kept.source_id IS NOT DISTINCT FROM named.source_id
    AND kept.day = named.day AND kept.door = named.door
LEFT JOIN refused ON refused.source_id IS NOT DISTINCT FROM named.source_id
    AND refused.day = named.day AND refused.door = named.door
LEFT JOIN intake.source ON source.source_id = named.source_id
LEFT JOIN intake.place ON place.place_id = source.place_id
WHERE :everywhere OR place.area_id IN (
    SELECT area_id FROM intake.area WHERE ancestors && CAST(:area_ids AS text[])
)
ORDER BY named.day, source.name NULLS FIRST, named.door
"""


async def read_balance(session: ReadSession, viewer: Viewer, since: date) -> list[Any]:
    """Per source, day and door: what was told, and the rows that are really there."""
    values = {
        "everywhere": EVERYWHERE in viewer.area_ids,
        "area_ids": list(viewer.area_ids),
        "since": since,
    }
    return list((await session.execute(text(_BALANCE), values)).all())
