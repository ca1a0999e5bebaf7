"""Judges alerts: what a rule says of an area now, against the alerts that stand there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.engine import Row

from services.alerts.domain.areas import stands_in
from services.alerts.domain.judgement import Decision, episodes
from services.alerts.domain.life import same_alerts
from services.alerts.domain.rules import Rule, longest_window, quiet_time
from services.alerts.domain.signals import Signal
from services.alerts.handlers.reach import Reached, reached_areas
from services.alerts.handlers.settling import Change, Touched, Writer
from services.alerts.repository.alerts import (
    Pair,
    alerts_by_id,
    alerts_near,
    evidence_ids,
    live_alerts,
    pair_lock,
)
from services.alerts.repository.areas import lines_of
from services.alerts.repository.excesses import (
    SumSpan,
    child_levels_of,
    excess_ids,
    lit_within,
)
from services.alerts.repository.rules import StoredRule, active_rules, book_of, versions_by_id
from services.alerts.repository.signals import Span, standing_within
from shared.database.work import Work


@dataclass(frozen=True, slots=True)
class Asked:
    """One rule and area with everything that decides it; `reached` are the areas that count, itself
    first. `stored` are the alerts that what has changed may concern, the oldest first; `live` is
    the one that is not over, wherever it lies."""

    pair: Pair
    touched: Touched
    versions: Sequence[Rule]
    area_of: Literal["place", "residence"]
    area_level: str
    reached: Sequence[Reached]
    live: Row[Any] | None
    stored: Sequence[Row[Any]] = ()

    @property
    def quiet(self) -> timedelta | None:
        return quiet_time(self.versions)

    @property
    def live_elsewhere(self) -> Row[Any] | None:
        """The live alert where it lies further than the quiet time from what has changed."""
        live = self.live
        if self.quiet is None or live is None or live.state == "withdrawn":
            return None
        return None if any(row.id == live.id for row in self.stored) else live

    @property
    def event_areas(self) -> Sequence[Reached]:
        """A parent holds the area itself: its signals are read once and told apart."""
        parents = [one for one in self.reached if one.role == "parent"]
        return parents or self.reached

    def span(self) -> tuple[datetime, datetime] | None:
        """Where evidence can have changed: around the changed signals, and where the alerts stood.

        Windows that hold with a changed signal reach one length to either side of it. Windows that
        hold without it held before, so they lie where the alerts' evidence lies.
        """
        times = list(self.touched.times)
        for row in self.stored:
            if row.state != "withdrawn":
                times += [row.first_at, row.last_at]
        if not times or not self.versions:
            return None
        margin = longest_window(self.versions)
        return min(times) - margin, max(times) + margin

    def kinds(self, lit_by: str) -> frozenset[str]:
        by_excess = [version.excess_kinds for version in self.versions]
        if lit_by == "excess":
            return frozenset[str]().union(*by_excess)
        every = zip(self.versions, by_excess, strict=True)
        return frozenset[str]().union(*(one.point_kinds - sums for one, sums in every))


async def judge_pairs(
    work: Work, touched: Mapping[Pair, Touched], rules: Sequence[StoredRule]
) -> None:
    """Open, join, revise, end or withdraw the alerts of each rule and area; says nothing where
    nothing changed.

    What is read after the lock is all that was committed, so of several transactions with one
    signal each the last to judge sees them all.
    """
    if not touched:
        return
    await work.lock(*(pair_lock(pair) for pair in touched))
    asked = await _asked(work, touched, versions_by_id(rules))
    signals = await _signals(work, asked)
    for pair, sums in (await _sums(work, asked)).items():
        signals.setdefault(pair, []).extend(sums)
    rows = {row.id for one in asked for row in one.stored}
    evidence = await evidence_ids(work, list(rows))
    by_excess = await excess_ids(work, list(rows))
    before = {alert_id: evidence[alert_id] | by_excess[alert_id] for alert_id in rows}
    writer = Writer(work)
    for one in asked:
        found = episodes(one.versions, signals.get(one.pair, ()))
        for change in _changes(one, found, before):
            writer.settle(change)
        passed = one.live_elsewhere
        if passed is not None and found and passed.last_at < found[-1].last_at:
            writer.end(passed)
    await writer.write()


async def _asked(
    work: Work, touched: Mapping[Pair, Touched], stored: Mapping[str, Sequence[StoredRule]]
) -> list[Asked]:
    live = await live_alerts(work, list(touched))
    books = {rule_id: book_of(versions) for rule_id, versions in stored.items()}
    reached = await reached_areas(work, {pair: one.line for pair, one in touched.items()}, stored)
    asked, near = [], {}
    for pair in sorted(touched):
        one, book = touched[pair], books.get(pair[0])
        versions = book.versions(one.line) if book else ()
        row = live.get(pair)
        asked.append(
            Asked(
                pair,
                one,
                versions,
                book.area_of if book else "place",
                book.area_level if book else one.line.level,
                reached[pair],
                row,
                [row] if row is not None else [],
            )
        )
        if (quiet := quiet_time(versions)) is not None and one.times:
            margin = longest_window(versions) + quiet
            near[pair] = (min(one.times) - margin, max(one.times) + margin)
    nearby = await alerts_near(work, near)
    return [
        replace(one, stored=nearby.get(one.pair, [])) if one.pair in near else one for one in asked
    ]


def _changes(
    one: Asked, found: Sequence[Decision], before: Mapping[UUID, frozenset[UUID]]
) -> list[Change]:
    """Each stored alert with what it should be, and what is new."""
    if one.quiet is None:
        row = one.live
        decision = found[-1] if found else None
        rests = before[row.id] if row is not None else frozenset()
        return [Change(one.pair, one.touched, one.versions, row, decision, rests, None)]
    evidence = [frozenset(signal.id for signal in decision.evidence) for decision in found]
    pairs = same_alerts([before[row.id] for row in one.stored], evidence)
    newest_at = max(
        [decision.last_at for decision in found]
        + ([far.last_at] if (far := one.live_elsewhere) is not None else []),
        default=None,
    )
    changes = []
    for mine, place in pairs:
        row = one.stored[mine] if mine is not None else None
        decision = found[place] if place is not None else None
        changes.append(
            Change(
                one.pair,
                one.touched,
                one.versions,
                row,
                decision,
                before[row.id] if row is not None else frozenset(),
                one.quiet,
                quiet=decision is not None and decision.last_at != newest_at,
            )
        )
    return changes


async def ring_quiet(work: Work, keys: Sequence[str]) -> None:
    """Timer: hand on to the evaluator. Whoever judges takes the lock of the pair and then writes
    timers; a timer that took that lock while it holds its own row would wait the other way round.
    """
    work.due("quiet", keys)


async def end_quiet(work: Work, keys: Sequence[str]) -> None:
    """Evaluator of `quiet`: an alert ends unless its evidence has grown meanwhile."""
    rows = await alerts_by_id(work, [UUID(key) for key in keys])
    await work.lock(*(pair_lock((row.rule_id, row.area_id)) for row in rows))
    stored = versions_by_id(await active_rules(work))
    writer = Writer(work)
    for row in await alerts_by_id(work, [row.id for row in rows]):
        hours = stored[row.rule_id][-1].document.quiet_hours if row.rule_id in stored else None
        if row.state in ("closed", "dismissed", "withdrawn") or hours is None:
            continue
        due_at = row.last_at + timedelta(hours=hours)
        if due_at <= work.now():
            writer.end(row)
        else:
            work.timer("quiet", str(row.id), due_at)
    await writer.write()


async def _signals(work: Work, asked: Sequence[Asked]) -> dict[Pair, list[Signal]]:
    """The standing signals of each pair: those whose area, at the rule's level, is one that the
    pair's rule reaches."""
    found: dict[Pair, list[Signal]] = {}
    sides: tuple[Literal["place", "residence"], ...] = ("place", "residence")
    for area_of in sides:
        here = [
            (one, reached, _span(one, reached, span))
            for one in asked
            if one.area_of == area_of and one.kinds("event") and (span := one.span())
            for reached in one.event_areas
        ]
        rows = await standing_within(work, [span for *_, span in here], area_of=area_of)
        # Where a level is absent the next higher area stands in, for the signals below it that
        # have no nearer one.
        to_place = {number for number, (one, reached, _) in enumerate(here) if reached.mixed(one)}
        lines = await lines_of(work, {area_id for number, area_id, _ in rows if number in to_place})
        for number, area_id, signal in rows:
            one, reached, _ = here[number]
            own = reached.role == "itself"
            if number in to_place:
                counted = lines[area_id].at_level(one.area_level)
                counted_id = counted.area_id if counted else None
                own = counted_id == one.pair[1]
                if reached.role != "parent" and counted_id != reached.line.area_id:
                    continue
            found.setdefault(one.pair, []).append(signal if own else replace(signal, own=False))
    return found


def _span(one: Asked, reached: Reached, span: tuple[datetime, datetime]) -> Span:
    return Span(
        one.pair[0],
        reached.line.area_id,
        one.kinds("event"),
        *span,
        judged_area_id=one.pair[1],
        households=any(version.min_households > 0 for version in one.versions),
    )


async def _sums(work: Work, asked: Sequence[Asked]) -> dict[Pair, list[Signal]]:
    """The days of series that may light a point of each pair."""
    here = [
        (one, reached, span)
        for one in asked
        if one.kinds("excess") and (span := one.span())
        for reached in one.reached
    ]
    higher = {one.line.area_id for asked, one, _ in here if one.line.level != asked.area_level}
    children = await child_levels_of(work, sorted(higher))
    spans = [
        (one.pair, _sum_span(one, reached, span))
        for one, reached, span in here
        if reached.role == "parent"
        or stands_in(reached.line.level, one.area_level, children.get(reached.line.area_id, ()))
    ]
    found: dict[Pair, list[Signal]] = {}
    for number, signal in await lit_within(work, [span for _, span in spans]):
        found.setdefault(spans[number][0], []).append(signal)
    return found


def _sum_span(one: Asked, reached: Reached, span: tuple[datetime, datetime]) -> SumSpan:
    kinds = one.kinds("excess")
    asked = [version.terms_of(kind).p_below for version in one.versions for kind in kinds]
    return SumSpan(
        one.pair[0],
        one.pair[1],
        reached.line.area_id,
        # The sums of the parent hold the area's own persons.
        as_point=one.pair[1] if reached.role == "parent" else reached.line.area_id,
        own=reached.role == "itself",
        point_kinds=kinds,
        p_most=max((p_below for p_below in asked if p_below is not None), default=0.0),
        from_at=span[0],
        until_at=span[1],
    )
