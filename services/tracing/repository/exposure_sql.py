"""The rule of exposure in plain SQL, piece by piece: what the statements are put together from.

Each piece is a common table expression that says what `domain/exposure.py` says in words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from services.tracing.domain.exposure import ExposureRule, Source

# The sources, the rule of each kind, and the sources' own stays, cut to their times. A stay that is
# itself shorter than the minimum can never count: this drops most scans before anything is joined.
_SOURCES = """
    source AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:person_ids AS uuid[]), CAST(:from_ats AS timestamptz[]),
            CAST(:until_ats AS timestamptz[])
        ) AS source (person_id, from_at, until_at)
        WHERE from_at < until_at
    ), place_rule AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:place_kinds AS text[]), CAST(:place_minimums AS float[]),
            CAST(:place_dwells AS float[])
        ) AS place_rule (kind, minimum_seconds, dwell_seconds)
    ), own_visit AS MATERIALIZED (
        SELECT source.person_id AS source_id, {own} visit.place_id, place.kind,
            minimum.seconds AS minimum_seconds, dwell.seconds AS dwell_seconds,
            place.longest_seconds, stay.from_at, stay.until_at
        FROM source
        CROSS JOIN (
            SELECT greatest(max(longest_seconds), :longest_dwell) AS seconds FROM tracing.place
        ) AS longest
        JOIN tracing.visit ON visit.person_id = source.person_id AND visit.standing
            AND visit.arrived_at < source.until_at
            AND visit.arrived_at > source.from_at - make_interval(secs => longest.seconds)
        JOIN tracing.place ON place.place_id = visit.place_id
        LEFT JOIN place_rule ON place_rule.kind = place.kind
        CROSS JOIN LATERAL (
            SELECT COALESCE(place_rule.minimum_seconds, :other_minimum) AS seconds
        ) AS minimum
        CROSS JOIN LATERAL (
            SELECT COALESCE(place_rule.dwell_seconds, :other_dwell) AS seconds
        ) AS dwell
        CROSS JOIN LATERAL (
            SELECT greatest(visit.arrived_at, source.from_at) AS from_at,
                least(
                    COALESCE(
                        visit.left_at, visit.arrived_at + make_interval(secs => dwell.seconds)
                    ),
                    source.until_at
                ) AS until_at
        ) AS stay
        WHERE stay.until_at > stay.from_at
            AND stay.until_at - stay.from_at >= make_interval(secs => minimum.seconds)
    )
"""

# LATERAL with OFFSET 0 keeps the planner at one index range per stay: its estimates of overlaps are
# wrong by orders of magnitude, and a hash join on the place reads every visitor there ever was.
_MET_AT_PLACE = """
    met_at_place AS (
        SELECT own.source_id, visit.person_id AS other_id, 'visit' AS code, own.place_id, own.kind,
            met.from_at, met.until_at, extract(epoch FROM met.until_at - met.from_at) AS seconds
            {evidence}
        FROM own_visit AS own
        CROSS JOIN LATERAL (
            SELECT {theirs} visit.person_id, visit.arrived_at,
                COALESCE(
                    visit.left_at, visit.arrived_at + make_interval(secs => own.dwell_seconds)
                ) AS left_at
            FROM tracing.visit
            WHERE visit.place_id = own.place_id AND visit.standing
                AND visit.arrived_at < own.until_at
                AND visit.arrived_at > own.from_at
                    - make_interval(secs => greatest(own.longest_seconds, own.dwell_seconds))
            OFFSET 0
        ) AS visit
        CROSS JOIN LATERAL (
            SELECT greatest(visit.arrived_at, own.from_at) AS from_at,
                least(visit.left_at, own.until_at) AS until_at
        ) AS met
        WHERE visit.person_id <> own.source_id
            AND met.until_at > met.from_at
            AND met.until_at - met.from_at >= make_interval(secs => own.minimum_seconds)
    )
"""

MET_IN_GROUP = """
    group_rule AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:group_kinds AS text[]), CAST(:group_minimums AS float[])
        ) AS group_rule (kind, minimum_seconds)
    ), met_in_group AS (
        SELECT source.person_id AS source_id, theirs.person_id AS other_id, 'membership' AS code,
            own.group_id AS place_id, own.group_kind AS kind,
            met.from_at, met.until_at, extract(epoch FROM met.until_at - met.from_at) AS seconds,
            own.id AS own_id, own.version AS own_version, theirs.id, theirs.version
        FROM source
        JOIN tracing.membership AS own ON own.person_id = source.person_id AND own.standing
        JOIN tracing.membership AS theirs ON theirs.group_id = own.group_id AND theirs.standing
            AND theirs.person_id <> own.person_id
        LEFT JOIN group_rule ON group_rule.kind = own.group_kind
        CROSS JOIN LATERAL (
            SELECT COALESCE(group_rule.minimum_seconds, CAST(:other_group_minimum AS float))
                AS seconds
        ) AS minimum
        CROSS JOIN LATERAL (
            SELECT greatest(source.from_at, own.from_at, theirs.from_at) AS from_at,
                least(source.until_at, own.until_at, theirs.until_at) AS until_at
        ) AS met
        WHERE met.until_at > met.from_at
            AND met.until_at - met.from_at >= make_interval(secs => minimum.seconds)
    )
"""

# `day_seconds` adds up the 24 hours up to each encounter; one that fills the sum makes every member
# of its sum count, which the second window says looking forwards. A pair that never spent enough
# time together cannot reach the sum and is dropped before the sorting.
ENCOUNTERED = """
    near AS MATERIALIZED (
        SELECT source.person_id AS source_id, source.from_at AS source_from,
            encounter.other_person_id AS other_id,
            encounter.started_at, encounter.seconds, encounter.id, encounter.version
        FROM source
        JOIN tracing.encounter ON encounter.person_id = source.person_id AND encounter.standing
            AND encounter.started_at >= source.from_at AND encounter.started_at < source.until_at
        UNION ALL
        SELECT source.person_id, source.from_at, encounter.person_id,
            encounter.started_at, encounter.seconds,
            encounter.id, encounter.version
        FROM source
        JOIN tracing.encounter ON encounter.other_person_id = source.person_id
            AND encounter.standing
            AND encounter.started_at >= source.from_at AND encounter.started_at < source.until_at
    ), enough AS (
        SELECT source_id, source_from, other_id FROM near
        WHERE other_id <> source_id
        GROUP BY source_id, source_from, other_id
        HAVING sum(seconds) >= CAST(:encounter_seconds AS float)
    ), summed AS (
        SELECT near.*, sum(seconds) OVER (
            PARTITION BY source_id, source_from, other_id ORDER BY started_at
            RANGE BETWEEN INTERVAL '24 hours' PRECEDING AND CURRENT ROW
        ) AS day_seconds
        FROM near JOIN enough USING (source_id, source_from, other_id)
    ), counted AS (
        SELECT summed.*, bool_or(day_seconds >= CAST(:encounter_seconds AS float)) OVER (
            PARTITION BY source_id, source_from, other_id ORDER BY started_at
            RANGE BETWEEN CURRENT ROW AND INTERVAL '24 hours' FOLLOWING
        ) AS counts
        FROM summed
    ), encountered AS (
        SELECT source_id, other_id, 'encounter' AS code,
            CAST(NULL AS uuid) AS place_id, CAST(NULL AS text) AS kind, started_at AS from_at,
            started_at + make_interval(secs => seconds) AS until_at, seconds,
            CAST(NULL AS uuid) AS own_id, CAST(NULL AS int) AS own_version, id, version
        FROM counted WHERE counts
    )
"""

LINKED = """
    linked AS (
        SELECT source.person_id AS source_id,
            CASE WHEN :backward THEN link.person_id ELSE link.other_person_id END AS other_id,
            'link' AS code,
            CAST(NULL AS uuid) AS place_id, CAST(NULL AS text) AS kind, link.exposed_at AS from_at,
            link.exposed_at AS until_at, 0 AS seconds,
            CAST(NULL AS uuid) AS own_id, CAST(NULL AS int) AS own_version, link.id, link.version
        FROM source JOIN tracing.link ON link.standing
            AND source.person_id =
                CASE WHEN :backward THEN link.other_person_id ELSE link.person_id END
            AND link.disease = :disease AND :links_count
            AND link.exposed_at >= source.from_at AND link.exposed_at < source.until_at
            AND link.other_person_id <> link.person_id
    )
"""


def sources_sql(*, evidence: bool) -> str:
    """The pieces up to the sources' own stays; without evidence the index alone answers."""
    return _SOURCES.format(own="visit.id, visit.version," if evidence else "")


def met_at_place_sql(*, evidence: bool, cases: bool = False) -> str:
    """Everybody who met those stays: one range of the index for each of them. With `cases` each
    stay knows whose case it is of."""
    ids = ", own.id AS own_id, own.version AS own_version, visit.id, visit.version"
    if cases:
        ids += ", own.case_id"
    return _MET_AT_PLACE.format(
        evidence=ids if evidence else "", theirs="visit.id, visit.version," if evidence else ""
    )


# The same from the other side, for few persons: their stays held against the sources'.
MET_THESE_AT_PLACE = """
    theirs AS MATERIALIZED (
        SELECT visit.* FROM unnest(CAST(:only_these AS uuid[])) AS wanted (person_id)
        CROSS JOIN LATERAL (
            SELECT visit.id, visit.version, visit.person_id, visit.place_id, visit.arrived_at,
                visit.left_at
            FROM tracing.visit WHERE visit.person_id = wanted.person_id AND visit.standing OFFSET 0
        ) AS visit
    ), met_at_place AS (
        SELECT own.source_id, visit.person_id AS other_id, 'visit' AS code, own.place_id, own.kind,
            met.from_at, met.until_at, extract(epoch FROM met.until_at - met.from_at) AS seconds,
            own.id AS own_id, own.version AS own_version, visit.id, visit.version
        FROM own_visit AS own JOIN theirs AS visit ON visit.place_id = own.place_id
        CROSS JOIN LATERAL (
            SELECT greatest(visit.arrived_at, own.from_at) AS from_at, least(
                COALESCE(
                    visit.left_at, visit.arrived_at + make_interval(secs => own.dwell_seconds)
                ),
                own.until_at
            ) AS until_at
        ) AS met
        WHERE visit.person_id <> own.source_id
            AND met.until_at > met.from_at
            AND met.until_at - met.from_at >= make_interval(secs => own.minimum_seconds)
    )
"""

# Whom the question leaves out; a join, because an array is searched from its beginning every time.
LEFT_OUT = """
    left_out AS MATERIALIZED (SELECT unnest(CAST(:not_these AS uuid[])) AS person_id)
"""

# What was known at an instant: versions told by then and not yet replaced.
_KNOWN = {
    "visit": "id, version, person_id, place_id, arrived_at, left_at, standing",
    "encounter": "id, version, person_id, other_person_id, started_at, seconds, standing",
    "membership": "id, version, person_id, group_id, group_kind, from_at, until_at, standing",
}


def as_known(statement: str) -> str:
    """The same statement over what was known at `:known_at`."""

    def known(match: re.Match[str]) -> str:
        table, alias = match[1], match[3] or match[1]
        if table == "link":
            return f"(SELECT * FROM tracing.link WHERE recorded_at <= :known_at) AS {alias}"  # noqa: S608
        columns = _KNOWN[table]
        return (
            f"(SELECT {columns} FROM tracing.{table} WHERE recorded_at <= :known_at"  # noqa: S608
            f" UNION ALL SELECT {columns} FROM tracing.{table}_past"
            f" WHERE recorded_at <= :known_at AND replaced_at > :known_at) AS {alias}"
        )

    return re.sub(r"tracing\.(visit|encounter|membership|link)\b( AS (\w+))?", known, statement)


def source_parameters(sources: Sequence[Source], rule: ExposureRule) -> dict[str, Any]:
    """What the fragment `SOURCES` asks for."""
    kinds = sorted(rule.place_kinds)
    dwells = [rule.place_kinds[kind].dwell_seconds for kind in kinds]
    return {
        "person_ids": [source.person_id for source in sources],
        "from_ats": [source.from_at for source in sources],
        "until_ats": [source.until_at for source in sources],
        "place_kinds": kinds,
        "place_minimums": [rule.place_kinds[kind].minimum_seconds for kind in kinds],
        "place_dwells": dwells,
        "other_minimum": rule.other_places.minimum_seconds,
        "other_dwell": rule.other_places.dwell_seconds,
        "longest_dwell": max([rule.other_places.dwell_seconds, *dwells]),
    }


def rule_parameters(rule: ExposureRule, disease: str) -> dict[str, Any]:
    """What the other pieces ask for."""
    groups = sorted(rule.group_kinds)
    return {
        "group_kinds": groups,
        "group_minimums": [rule.group_kinds[kind].minimum_seconds for kind in groups],
        "other_group_minimum": rule.other_groups.minimum_seconds if rule.other_groups else None,
        "encounter_seconds": rule.encounter_seconds,
        "disease": disease,
        "links_count": rule.links_count,
    }
