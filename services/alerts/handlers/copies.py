"""What arrives late or changes around the signals: places, persons, areas, cases, rules. Each has
its signals judged again."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.alerts.handlers.alerts import judge_pairs
from services.alerts.handlers.counts import (
    count_again_at,
    count_again_in,
    count_again_of,
    refit_key,
)
from services.alerts.handlers.fits import ALL
from services.alerts.handlers.settling import Touched
from services.alerts.repository.alerts import Pair, live_pairs
from services.alerts.repository.areas import lines_of
from services.alerts.repository.copies import (
    members_before,
    store_cases,
    store_households,
    store_persons,
    store_places,
)
from services.alerts.repository.detection import COUNTING
from services.alerts.repository.excesses import keys_that_may_light
from services.alerts.repository.fits import Topic
from services.alerts.repository.rules import RULE, active_rules
from services.alerts.repository.signals import (
    idle_of_fallen_cases,
    in_areas,
    of_cases,
    of_kinds,
    of_persons,
    of_places,
    record_ids_where,
)
from services.alerts.tables import alert, standard
from shared.areas import store_areas
from shared.database.work import Work
from shared.events.intake import AreaChanged, MembershipDeclared, PersonChanged, PlaceChanged
from shared.events.policy import PolicyChanged
from shared.events.tracing import CaseChanged

HOUSEHOLD = "household"
# So many records of a case are a crowd, and so long its orders may take.
CROWD = 1_000
CROWD_SECONDS = 15.0


async def hear_places(work: Work, events: Sequence[PlaceChanged]) -> None:
    await store_places(work, events)
    work.due("place", {str(event.record_id) for event in events})


async def hear_persons(work: Work, events: Sequence[PersonChanged]) -> None:
    """Of whom the first that is known is no residence, a copy would say nothing: unknown persons
    come with every report."""
    told = [event for event in events if event.residence_area_id or event.record_version > 1]
    await store_persons(work, told)
    settled = [event for event in told if event.residence_area_id is not None]
    work.due("person", {str(event.record_id) for event in settled})


async def hear_memberships(work: Work, events: Sequence[MembershipDeclared]) -> None:
    """Of groups only households count here: who lives together is one household of a rule."""
    told = [event for event in events if event.group_kind == HOUSEHOLD]
    if not told:
        return
    before = await members_before(work, told)
    await store_households(work, told)
    work.due("person", {str(one) for one in before | {event.person_id for event in told}})


async def hear_cases(work: Work, events: Sequence[CaseChanged]) -> None:
    await store_cases(work, events)
    work.due("case", {str(event.record_id) for event in events})


async def hear_areas(work: Work, events: Sequence[AreaChanged]) -> None:
    """An area that moves concerns its old ancestors too: an alert there may have rested on it."""
    before = await lines_of(work, [event.area_id for event in events])
    concerned = set(await store_areas(work, standard, events))
    for line in before.values():
        concerned |= line.area_ids
    work.due("area", concerned)


async def hear_rules(work: Work, events: Sequence[PolicyChanged]) -> None:
    """The document stands in this service's own table already; here only its effect is due."""
    work.due("rule", {event.policy_id for event in events if event.kind == RULE.name})
    if any(event.kind in COUNTING for event in events):
        work.due("refit", [refit_key(Topic(ALL, ALL), ALL)])


async def judge_places(work: Work, keys: Sequence[str]) -> None:
    await _again(work, await record_ids_where(work, of_places([UUID(key) for key in keys])))
    await count_again_at(work, [UUID(key) for key in keys])


async def judge_persons(work: Work, keys: Sequence[str]) -> None:
    await _again(work, await record_ids_where(work, of_persons([UUID(key) for key in keys])))
    await count_again_of(work, [UUID(key) for key in keys])


async def judge_cases(work: Work, keys: Sequence[str]) -> None:
    """Of a crowd that falls, what alerts rest on comes first; the rest when orders are through."""
    concerned = of_cases([UUID(key) for key in keys])
    found = await record_ids_where(work, concerned)
    if len(found) < CROWD:
        await _again(work, found)
        return
    first = await record_ids_where(work, concerned & ~idle_of_fallen_cases())
    await _again(work, first)
    idle = set(found) - set(first)
    work.due("record", map(str, idle), after_seconds=CROWD_SECONDS)


async def judge_areas(work: Work, keys: Sequence[str]) -> None:
    await _again(work, await record_ids_where(work, in_areas(keys)))
    await count_again_in(work, keys)
    pairs = await live_pairs(work, alert.c.area_id.in_(keys))
    await judge_pairs(work, await _whole(work, pairs), await active_rules(work))


async def judge_rules(work: Work, keys: Sequence[str]) -> None:
    rules = await active_rules(work)
    kinds = {kind for rule in rules if rule.id in keys for kind in rule.document.point_kinds}
    await _again(work, await record_ids_where(work, of_kinds(sorted(kinds))))
    for rule in {one.id: one for one in rules if one.id in keys}.values():
        # Versions come in order: the last one decides from its first day on.
        document = rule.document
        asked = [document.terms_of(kind).p_below or 0.0 for kind in document.excess_kinds]
        if asked:
            lit_kinds = sorted(document.excess_kinds)
            work.due(
                "excess",
                set(await keys_that_may_light(work, lit_kinds, rule.valid_from, max(asked))),
            )
    pairs = await live_pairs(work, alert.c.rule_id.in_(keys))
    await judge_pairs(work, await _whole(work, pairs), rules)


async def _whole(work: Work, pairs: Sequence[Pair]) -> dict[Pair, Touched]:
    """Live alerts to be judged where they stand; an area once known stays known."""
    lines = await lines_of(work, {area_id for _, area_id in pairs})
    return {pair: Touched(lines[pair[1]]) for pair in pairs}


async def _again(work: Work, record_ids: Sequence[UUID]) -> None:
    work.due("record", {str(record_id) for record_id in record_ids})
