"""A trial made of what the alerts service has recorded: its standing signals, its judged days, its
rules, and as truth the outbreaks that people have labelled since."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import select, text

from services.alerts.domain.areas import AreaTree
from services.alerts.domain.city_log import CityLog
from services.alerts.domain.signals import Signal, signal_of_excess
from services.alerts.laboratory.backtest import RuleSet
from services.alerts.laboratory.trial import Trial, Truth
from services.alerts.repository.adjacency import neighbours
from services.alerts.repository.detection import OUTBREAK, OutbreakDocument
from services.alerts.repository.rules import StoredRule, active_rules
from services.alerts.repository.series import excess_of
from services.alerts.repository.signals import HOUSEHOLD, SIGNAL, signal_of
from services.alerts.tables import series_day, standard
from shared.policy import Reader

DAY = timedelta(days=1)
# Consensus and windows look back: so much before the first day is read as well.
LEAD = 400 * DAY
SIGNALS = text(
    f"""
    SELECT {SIGNAL}, signal.home_area_id, false AS spent,
        CASE WHEN signal.person_id IS NOT NULL THEN ({HOUSEHOLD}) END AS household_id
    FROM alerts.signal AS signal
    WHERE signal.standing AND signal.occurred_at BETWEEN :from_at AND :until_at
    """  # noqa: S608 - columns of our own
)


async def recorded_trial(reader: Reader, first: date, last: date) -> Trial:
    """Both days included; days are those of each area's zone, at the edges those of UTC."""
    tree = await _tree(reader)
    signals = await _signals(reader, first, last)
    signals += await _days(reader, tree, first, last)
    return Trial(
        name=f"recorded events, {first} to {last}",
        city=CityLog.of(signals),
        tree=tree,
        first_day=first.toordinal(),
        last_day=last.toordinal(),
        age=0,
        truths=await _truths(reader, tree, first, last),
    )


async def rules_in_force(reader: Reader) -> RuleSet:
    """The rules as they stand: what new ones are compared with."""
    versions: dict[str, list[StoredRule]] = {}
    for rule in await active_rules(reader):
        versions.setdefault(rule.id, []).append(rule)
    return RuleSet("in force", tuple(tuple(one) for one in versions.values()))


async def _tree(reader: Reader) -> AreaTree:
    area = standard.area
    rows = await reader.execute(
        select(area.c.area_id, area.c.parent_id, area.c.level, area.c.zone).order_by(area.c.area_id)
    )
    tree = AreaTree.of([(row.area_id, row.parent_id, row.level, row.zone) for row in rows])
    return AreaTree(tree.lines, await neighbours(reader))


async def _signals(reader: Reader, first: date, last: date) -> list[tuple[Signal, str | None]]:
    start, end = (datetime.combine(day, time(), UTC) for day in (first - LEAD, last + DAY))
    rows = await reader.execute(SIGNALS.bindparams(from_at=start, until_at=end))
    return [(signal_of(row), row.home_area_id) for row in rows]


async def _days(
    reader: Reader, tree: AreaTree, first: date, last: date
) -> list[tuple[Signal, str | None]]:
    """Every judged day of every series, quiet ones too."""
    rows = await reader.execute(
        select(series_day).where(
            series_day.c.day.between(first - LEAD, last), series_day.c.abstains == 0
        )
    )
    excesses = [excess_of(row) for row in rows]
    zones = {area_id: line.zone for area_id, line in tree.lines.items()}
    return [
        (
            signal_of_excess(one, zones.get(one.area_id, "UTC"), point_area_id=one.area_id),
            one.area_id,
        )
        for one in excesses
    ]


async def _truths(reader: Reader, tree: AreaTree, first: date, last: date) -> tuple[Truth, ...]:
    """Labelled outbreaks that begin within the days. One of several syndromes is one per syndrome;
    without any it is found by an alert of any."""
    policy = standard.policy
    rows = await reader.execute(
        select(policy.c.document)
        .where(policy.c.kind == OUTBREAK.name, policy.c.state == "active")
        .order_by(policy.c.id)
    )
    truths: list[Truth] = []
    for row in rows:
        document = OutbreakDocument.model_validate(row.document)
        begins, ends = document.days
        line = tree.lines.get(document.area_id)
        if line is None or not first <= begins <= last:
            continue
        areas = line.area_ids | _below(tree, document.area_id)
        for syndrome in document.syndromes or ("",):
            days = (begins.toordinal(), ends.toordinal())
            truths.append(Truth(len(truths), "labelled", syndrome, areas, *days, 0))
    return tuple(truths)


def _below(tree: AreaTree, area_id: str) -> frozenset[str]:
    return frozenset(one for one, line in tree.lines.items() if area_id in line.area_ids)
