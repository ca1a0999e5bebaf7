"""Who was where a case was: found at once, found late, and taken back."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select, text, update

from services.tracing.app import service
from services.tracing.handlers.case_judgement import CROWD, judge_cases
from services.tracing.handlers.hand import decide_case
from services.tracing.handlers.watch import WATCH, Watch
from services.tracing.repository.cases import case_id_of, case_key
from services.tracing.repository.co_locations import co_location_key
from services.tracing.tables import standard
from shared.access import EVERYWHERE, Viewer
from shared.database.work import Actor, Database
from shared.delivery.due import DueLoop, lanes_of
from shared.delivery.faults import NoFaults
from shared.events.base import Event
from shared.events.tracing import CaseChanged, CoLocationChanged, ContactChanged
from shared.metrics import WATCHED_STAYS
from tests.service.tracing.desk import DISEASE, Desk, declared, encounter, id_of, place, scan
from tests.service.tracing.test_cases import ONSET, at_school, on

TRACER = Viewer("staff:tracer", frozenset({"cases.read", "cases.write"}), (EVERYWHERE,))
FOUR, SIX = on(4), on(4, 6)


def ill(**more: Any) -> Event:
    return declared("d", "ill", ONSET, **more)


async def decide(desk: Desk, action: Any) -> None:
    async with desk.database.work(Actor(TRACER.subject)) as work:
        case_id = case_id_of(id_of("ill"), DISEASE)
        await decide_case(work, TRACER, case_id, action=action, reason="a second look")
    await desk.judge()


async def kinds_due(desk: Desk) -> list[str]:
    rows = await desk.rows(select(standard.due).order_by(standard.due.c.id))
    return [row["kind"] for row in rows]


async def test_a_late_case_finds_who_was_where_it_was(desk: Desk) -> None:
    await desk.tell(*at_school("ill", "near"))
    assert await desk.count("co_location") == 0
    await desk.tell(ill())
    (found,) = (await desk.co_locations("ill")).values()
    assert (found["person_id"], found["visit_id"]) == (id_of("near"), id_of("scan near"))
    assert (found["place_id"], found["place_kind"]) == (id_of("school"), "school")
    assert (found["from_at"], found["until_at"], found["minutes"]) == (FOUR, SIX, 120)
    assert found["reason"] == "co_location: visit at school 120 min"
    assert {(item["kind"], item["id"]) for item in found["evidence"]} == {
        ("visit", str(id_of("scan ill"))), ("visit", str(id_of("scan near"))),
    }  # fmt: skip


async def test_a_scan_after_the_case_is_told_at_once_and_before_the_case_is_judged(
    desk: Desk,
) -> None:
    own, other = at_school("ill", "near")
    await desk.tell(own, ill())
    await desk.hear(other)
    assert await kinds_due(desk) == ["visits"]
    await desk.due.judge_once()
    assert await kinds_due(desk) == ["co_location", "case"], "people wait for the first"
    case_id = case_id_of(id_of("ill"), DISEASE)
    (due, _) = await desk.rows(select(standard.due).order_by(standard.due.c.id))
    only_this = co_location_key(case_id, id_of("school"), id_of("scan near"))
    assert due["keys"] == [only_this], "not everybody who was there"
    await desk.due.judge_once()
    (told,) = await desk.said(CoLocationChanged)
    assert (told.person_id, told.case_person_id) == (id_of("near"), id_of("ill"))
    assert (told.occurred_at, told.from_at, told.until_at) == (FOUR, FOUR, SIX)
    assert (told.visit_id, told.place_id) == (id_of("scan near"), id_of("school"))
    assert (told.standing, told.minutes, told.policy) == (True, 120, "tracing-windows-covid19@1")
    (case,) = await desk.said(CaseChanged)
    assert told.cause_id == case.event_id
    assert [row["action"] for row in await desk.audit(told.record_id)] == ["co_location_found"]
    await desk.judge()
    assert len(await desk.said(CoLocationChanged)) == 1


async def test_a_scan_does_not_wait_for_cases_that_are_still_to_be_judged(desk: Desk) -> None:
    """A process has two loops: one for what people wait for, one for the rest."""
    swift, other = (
        DueLoop(desk.database, service.evaluators, faults=NoFaults(), lane=lane)
        for lane in lanes_of(service)
    )
    own, near = at_school("ill", "near")
    await desk.tell(own, ill())
    await desk.hear(declared("e", "another", ONSET))
    await desk.hear(near)
    assert await kinds_due(desk) == ["case", "visits"]
    while await swift.judge_once():
        pass
    assert len(await desk.said(CoLocationChanged)) == 1
    assert await kinds_due(desk) == ["case", "case"]
    await desk.hear(*at_school("next"))
    while await other.judge_once():
        pass
    assert await kinds_due(desk) == ["visits"]


async def test_a_late_departure_makes_it_true(desk: Desk) -> None:
    """At a gate everybody is taken to stay for two minutes, and fifteen count."""
    await desk.tell(
        place("gate", "gate"), scan("own", "ill", "gate", FOUR, left_at=SIX), ill(),
        scan("other", "near", "gate", on(4, 4, 30)),
    )  # fmt: skip
    assert await desk.co_locations("ill") == {}
    await desk.tell(scan("other", "near", "gate", on(4, 4, 30), left_at=on(4, 5), version=2))
    (found,) = (await desk.co_locations("ill")).values()
    assert (found["version"], found["minutes"]) == (1, 30)


async def test_a_late_departure_of_the_case_makes_it_true(desk: Desk) -> None:
    await desk.tell(
        place("gate", "gate"), scan("own", "ill", "gate", FOUR), ill(),
        scan("other", "near", "gate", on(4, 4, 30), left_at=on(4, 5)),
    )  # fmt: skip
    assert await desk.co_locations("ill") == {}
    await desk.tell(scan("own", "ill", "gate", FOUR, left_at=SIX, version=2))
    assert set(await desk.co_locations("ill")) == {id_of("other")}


async def test_a_corrected_scan_takes_it_away_and_says_why(desk: Desk) -> None:
    await desk.tell(*at_school("ill", "near", "next"), ill())
    assert len(await desk.co_locations("ill")) == 2
    elsewhere = scan("scan near", "near", "home", FOUR, left_at=SIX, version=2)
    gone = scan("scan next", "next", "school", FOUR, left_at=SIX, version=2, status="withdrawn")
    await desk.tell(elsewhere, gone)
    assert await desk.co_locations("ill") == {}
    taken = await desk.co_locations("ill", standing=False)
    assert {row["reason"] for row in taken.values()} == {
        "what it rested on was withdrawn or revised"
    }
    assert {row["cause_id"] for row in taken.values()} == {elsewhere.event_id, gone.event_id}
    assert {row["version"] for row in taken.values()} == {2}
    await desk.tell(scan("scan near", "near", "school", FOUR, left_at=SIX, version=3))
    (back,) = (await desk.co_locations("ill")).values()
    assert (back["person_id"], back["version"]) == (id_of("near"), 3)


async def test_a_scan_that_was_another_persons_is_another_co_location(desk: Desk) -> None:
    await desk.tell(*at_school("ill", "near"), ill())
    await desk.tell(scan("scan near", "next", "school", FOUR, left_at=SIX, version=2))
    told = await desk.said(CoLocationChanged)
    assert [(one.person_id, one.standing) for one in told] == [
        (id_of("near"), True), (id_of("next"), True), (id_of("near"), False),
    ]  # fmt: skip
    assert len({one.record_id for one in told}) == 2


async def test_a_longer_stay_is_a_newer_version_of_the_same_co_location(desk: Desk) -> None:
    await desk.tell(*at_school("ill", "near"), ill())
    await desk.tell(scan("scan near", "near", "school", on(4, 5), left_at=on(4, 5, 30), version=2))
    (found,) = (await desk.co_locations("ill")).values()
    assert (found["version"], found["minutes"], found["from_at"]) == (2, 30, on(4, 5))
    versions = {item["version"] for item in found["evidence"]}
    assert versions == {1, 2}


async def test_a_discarded_case_takes_all_away_and_a_reopened_one_brings_them_back(
    desk: Desk,
) -> None:
    await desk.tell(*at_school("ill", "near", "next"), ill())
    before = await desk.co_locations("ill")
    await decide(desk, "discard")
    assert await desk.co_locations("ill") == {}
    taken = await desk.co_locations("ill", standing=False)
    assert {row["reason"] for row in taken.values()} == {
        "its case does not stand: discarded by staff:tracer"
    }
    case = await desk.case("ill")
    said = [event for event in await desk.said(CaseChanged) if not event.standing]
    assert {row["cause_id"] for row in taken.values()} == {said[-1].event_id}
    assert said[-1].record_version == case["version"]
    await decide(desk, "reopen")
    back = await desk.co_locations("ill")
    assert {row["id"] for row in back.values()} == {row["id"] for row in before.values()}
    assert {row["version"] for row in back.values()} == {3}


async def test_the_co_locations_of_a_crowd_fall_after_its_contacts(desk: Desk) -> None:
    met = [encounter(f"e {n}", ("ill", f"met {n}"), on(4, 7), minutes=30) for n in range(CROWD)]
    await desk.tell(*at_school("ill", "near", "by"), *met, ill())
    async with desk.database.work(Actor(TRACER.subject)) as work:
        case_id = case_id_of(id_of("ill"), DISEASE)
        await decide_case(work, TRACER, case_id, action="discard", reason="a second look")
    while await desk.due.judge_once():
        pass
    assert {event.standing for event in (await desk.said(ContactChanged))[-2:]} == {False}
    assert all(event.standing for event in await desk.said(CoLocationChanged))
    assert await kinds_due(desk) == ["co_location"]
    async with desk.database.work(Actor("test")) as work:
        await work.execute(update(standard.due).values(not_before=None))
    await desk.judge()
    assert [event.standing for event in (await desk.said(CoLocationChanged))[-2:]] == [False] * 2
    await decide(desk, "reopen")
    assert [event.standing for event in (await desk.said(CoLocationChanged))[-2:]] == [True] * 2


async def test_nobody_is_told_of_a_case_that_was_discarded_before(desk: Desk) -> None:
    own, other = at_school("ill", "near")
    await desk.tell(own, ill())
    await decide(desk, "discard")
    await desk.tell(other)
    assert await desk.count("co_location") == 0


async def test_another_onset_moves_the_window_and_with_it_what_counts(desk: Desk) -> None:
    later = scan("own later", "ill", "school", on(20), left_at=on(20, 6))
    met = scan("met later", "near", "school", on(20), left_at=on(20, 6))
    await desk.tell(*at_school("ill", "near"), later, met, ill())
    assert set(await desk.co_locations("ill")) == {id_of("scan near")}
    await desk.tell(declared("d", "ill", date(2021, 3, 19), version=2))
    assert set(await desk.co_locations("ill")) == {id_of("met later")}
    (gone,) = (await desk.co_locations("ill", standing=False)).values()
    assert gone["reason"] == "no meeting counts any more by the case's window and policy"


async def test_the_kind_of_a_place_decides_what_counts_there(desk: Desk) -> None:
    own = scan("own", "ill", "house", FOUR, left_at=SIX)
    brief = scan("brief", "near", "house", FOUR, left_at=on(4, 4, 5))
    long = scan("long", "next", "house", FOUR, left_at=SIX)
    await desk.tell(place("house", "shop"), own, brief, long, ill())
    assert set(await desk.co_locations("ill")) == {id_of("long")}
    await desk.tell(place("house", "dwelling", version=2))
    found = await desk.co_locations("ill")
    assert set(found) == {id_of("long"), id_of("brief")}
    assert {row["place_kind"] for row in found.values()} == {"dwelling"}
    await desk.tell(place("house", "shop", version=3))
    assert set(await desk.co_locations("ill")) == {id_of("long")}


async def test_several_stays_of_the_case_make_one_co_location_of_one_visit(desk: Desk) -> None:
    await desk.tell(
        place("school", "school"), ill(),
        scan("morning", "ill", "school", FOUR, left_at=on(4, 5)),
        scan("noon", "ill", "school", on(4, 6), left_at=on(4, 7)),
        scan("all day", "near", "school", on(4, 3), left_at=on(4, 9)),
    )  # fmt: skip
    (found,) = (await desk.co_locations("ill")).values()
    assert (found["from_at"], found["until_at"], found["minutes"]) == (FOUR, on(4, 7), 120)
    assert len(found["evidence"]) == 3


async def test_two_cases_at_one_place_are_two_co_locations_and_two_diseases_too(
    desk: Desk,
) -> None:
    await desk.tell(
        *at_school("ill", "near", "other"), ill(), declared("e", "other", ONSET),
        declared("f", "ill", date(2021, 3, 4), disease="mers"),
    )  # fmt: skip
    assert set(await desk.co_locations("ill")) == {id_of("scan near"), id_of("scan other")}
    assert set(await desk.co_locations("other")) == {id_of("scan near"), id_of("scan ill")}
    assert set(await desk.co_locations("ill", "mers")) == {id_of("scan near"), id_of("scan other")}


async def test_only_the_case_itself_counts_and_not_its_contacts(desk: Desk) -> None:
    met_later = at_shop = [
        scan(f"shop {name}", name, "shop", on(5), left_at=on(5, 6), place_kind="shop")
        for name in ("near", "third")
    ]
    await desk.tell(*at_school("ill", "near"), *at_shop, ill())
    assert id_of("third") in await desk.contacts("ill")
    assert set(await desk.co_locations("ill")) == {id_of("scan near")}
    await desk.tell(*(one.model_copy(update={"record_version": 2}) for one in met_later))
    assert set(await desk.co_locations("ill")) == {id_of("scan near")}


async def test_cases_that_stood_before_there_were_co_locations_get_theirs(desk: Desk) -> None:
    """As the migration leaves them: stays without a version, and every standing case due."""
    await desk.tell(*at_school("ill", "near"), ill())
    async with desk.database.work(Actor("command")) as work:
        for statement in (
            "UPDATE tracing.presence SET visit_version = 0, place_kind = ''",
            "DELETE FROM tracing.co_location",
            "DELETE FROM tracing.presence_change",
        ):
            await work.execute(text(statement))
        work.due("case", [case_key(id_of("ill"), DISEASE)])
    await desk.judge()
    (found,) = (await desk.co_locations("ill")).values()
    assert (found["version"], found["place_kind"]) == (1, "school")


async def test_a_drill_is_marked(desk: Desk) -> None:
    await desk.tell(*at_school("ill", "near"), ill(exercise=True))
    (told,) = await desk.said(CoLocationChanged)
    assert told.exercise


async def test_the_same_facts_again_say_nothing_twice(desk: Desk) -> None:
    facts = [*at_school("ill", "near", "next"), ill()]
    await desk.tell(*facts)
    before = await desk.said(CoLocationChanged)
    await desk.tell(*reversed(facts))
    for fact in facts:
        await desk.tell(fact)
    assert await desk.said(CoLocationChanged) == before


async def test_two_processes_at_once_say_each_co_location_once(desk: Desk) -> None:
    """Each has a memory of its own; the lock on (case, place) lets one of them decide."""
    other = Database(desk.engine, service=service.name, tables=standard, clock=desk.clock)
    loops = [DueLoop(one, service.evaluators, faults=NoFaults()) for one in (desk.database, other)]

    async def judge(loop: DueLoop) -> None:
        for _ in range(2_000):
            if not await loop.judge_once() and not await loop.waiting():
                return

    names = [f"p{number}" for number in range(12)]
    scans = at_school("ill", *names)
    await desk.hear(scans[0])
    for number in range(0, 12, 2):
        await desk.hear(*scans[number + 1 : number + 3], *([ill()] if number == 6 else []))
        await asyncio.gather(*map(judge, loops))
    await desk.judge()
    found = await desk.co_locations("ill")
    assert set(found) == {id_of(f"scan {name}") for name in names}
    assert {row["version"] for row in found.values()} == {1}
    assert len(await desk.said(CoLocationChanged)) == len(names)


async def test_a_case_judged_in_a_slow_transaction_is_not_lost(desk: Desk) -> None:
    """Begun before the memory was read, committed after: the transaction's id is behind it."""
    own, other = at_school("ill", "near")
    await desk.hear(own, ill())
    slow = desk.database.work(Actor("due:slow"))
    work = await slow.__aenter__()
    await judge_cases(work, [case_key(id_of("ill"), DISEASE)])
    await desk.hear(scan("somebody", "some", "shop", FOUR))
    async with desk.database.work(Actor("test")) as asking:
        watch = Watch(1000)
        asking.kept[WATCH] = watch
        watched = await watch.current(asking)
        assert watched is not None
        assert watched.count == 0
    await slow.__aexit__(None, None, None)
    await desk.hear(other)
    async with desk.database.work(Actor("test")) as asking:
        watched = await watch.current(asking)
        assert watched is not None
        assert watched.count == 1
    await desk.judge()
    assert set(await desk.co_locations("ill")) == {id_of("scan near")}


async def test_over_its_limit_the_memory_is_let_go_and_sql_answers(desk: Desk) -> None:
    desk.database.kept[WATCH] = Watch(1)
    own, near, late = at_school("ill", "near", "late")
    more = scan("own shop", "ill", "shop", on(5), left_at=on(5, 6), place_kind="shop")
    await desk.tell(own, near, more, ill())
    await desk.tell(late)
    assert set(await desk.co_locations("ill")) == {id_of("scan near"), id_of("scan late")}
    async with desk.database.work(Actor("test")) as work:
        assert await desk.database.kept[WATCH].current(work) is None
    assert WATCHED_STAYS._value.get() == 0


async def test_a_process_that_was_away_for_long_reads_all_stays_anew(desk: Desk) -> None:
    await desk.tell(*at_school("ill", "near"), ill())
    watch = desk.database.kept[WATCH]
    async with desk.database.work(Actor("test")) as work:
        before = await watch.current(work)
        # As if nobody had asked for half a day.
        watch._read_at -= timedelta(hours=12).total_seconds()
        after = await watch.current(work)
    assert after is not before
    assert after.count == before.count == 1
