"""The parts of the live page. Each can fail alone, and then says so in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.console.domain.alerts import CARDS_MOST, Alert, AlertTally, tally_of
from services.console.domain.balance import Balance, balance_of
from services.console.domain.signals import AreaSignals, signals_by_area
from services.console.errors import CardNotFound, OwnerAway
from services.console.handlers.places import PlaceName, PlaceNames
from services.console.repository.areas import AreaName, names_of
from services.console.repository.owners import OWNERS, Answer, Owners
from services.console.repository.readings import (
    read_alert,
    read_alerts,
    read_balance,
    read_signals,
)
from shared.database.work import Database


@dataclass(frozen=True, slots=True)
class Asking:
    """Whom to ask and in whose name; `credential` are the viewer's own headers."""

    owners: Owners
    database: Database
    places: PlaceNames
    subject: str
    credential: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Names:
    """Names of everything that a part mentions."""

    areas: Mapping[str, AreaName]
    places: Mapping[str, PlaceName]


NO_NAMES = Names({}, {})


@dataclass(frozen=True, slots=True)
class AlertsPart:
    alerts: Sequence[Alert] = ()
    names: Names = NO_NAMES
    trouble: str = ""
    # A stream that goes on after this offset misses nothing that happens after this list.
    stream_offset: int | None = None

    @property
    def tally(self) -> AlertTally:
        return tally_of(self.alerts)

    @property
    def full(self) -> bool:
        return len(self.alerts) >= CARDS_MOST


@dataclass(frozen=True, slots=True)
class SignalsPart:
    areas: Sequence[AreaSignals] = ()
    names: Names = NO_NAMES
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class BalancePart:
    balance: Balance | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class OwnerHealth:
    """`state` is ready, unready or away; `missing` is what an unready one says it lacks."""

    owner: str
    state: str
    missing: Sequence[str] = ()


async def alerts_part(asking: Asking) -> AlertsPart:
    """The newest alerts, at most `CARDS_MOST`, with the names on them."""
    answer = await asking.owners.get(
        "alerts", "/alerts/alerts", asking.credential, limit=CARDS_MOST
    )
    if not answer.fine:
        return AlertsPart(trouble=answer.trouble)
    try:
        alerts = read_alerts(answer.body)[:CARDS_MOST]
    except (KeyError, ValueError):
        return AlertsPart(trouble="broken")
    offset = answer.body.get("stream_offset") if isinstance(answer.body, dict) else None
    return AlertsPart(alerts, await _names(asking, alerts), stream_offset=offset)


async def one_card(asking: Asking, alert_id: str) -> tuple[Alert, Names]:
    """One alert with its names. Raises `CardNotFound` and `OwnerAway`."""
    answer = await asking.owners.get("alerts", f"/alerts/alerts/{alert_id}", asking.credential)
    if answer.status in (403, 404):
        raise CardNotFound("there is no such alert in your areas")
    if not answer.fine:
        raise OwnerAway("alerts does not answer", "try again")
    alert = read_alert(answer.body)
    return alert, await _names(asking, [alert])


async def signals_part(asking: Asking) -> SignalsPart:
    """Standing signals by area."""
    answer = await asking.owners.get("alerts", "/alerts/signals/summary", asking.credential)
    if not answer.fine:
        return SignalsPart(trouble=answer.trouble)
    try:
        areas = signals_by_area(read_signals(answer.body))
    except ValueError:
        return SignalsPart(trouble="broken")
    async with asking.database.read() as session:
        names = await names_of(session, (area.area_id for area in areas))
    return SignalsPart(areas, Names(names, {}))


async def balance_part(asking: Asking) -> BalancePart:
    """The counters that must add up."""
    answer = await asking.owners.get("intake", "/intake/balance", asking.credential)
    if not answer.fine:
        return BalancePart(trouble=answer.trouble)
    try:
        return BalancePart(balance_of(read_balance(answer.body)))
    except (KeyError, ValueError):
        return BalancePart(trouble="broken")


async def health_part(owners: Owners) -> list[OwnerHealth]:
    """The services behind the page; those in one process are asked once."""
    urls = sorted({owners.urls[owner] for owner in OWNERS})
    first_at = {url: next(one for one in OWNERS if owners.urls[one] == url) for url in urls}
    answers = await asyncio.gather(*(owners.get(first_at[url], "/readyz", {}) for url in urls))
    by_url = dict(zip(urls, answers, strict=True))
    return [_health(owner, by_url[owners.urls[owner]]) for owner in OWNERS]


def _health(owner: str, answer: Answer) -> OwnerHealth:
    body: Any = answer.body
    if not isinstance(body, dict) or not isinstance(body.get("missing"), list):
        return OwnerHealth(owner, "away")
    # One process answers for all of its services: `alerts: …` and `alerts.copies: …` are alerts'.
    missing = [str(one) for one in body["missing"]]
    own = [one for one in missing if one.startswith((f"{owner}:", f"{owner}."))]
    return OwnerHealth(owner, "unready" if own else "ready", own)


async def _names(asking: Asking, alerts: Sequence[Alert]) -> Names:
    reasons = [reason for alert in alerts for reason in alert.reasons]
    area_ids: Iterable[str | None] = [alert.area_id for alert in alerts]
    async with asking.database.read() as session:
        areas = await names_of(session, [*area_ids, *(reason.area_id for reason in reasons)])
    wanted = {reason.place_id for reason in reasons if reason.place_id}
    places = await asking.places.of(asking.owners, asking.subject, asking.credential, wanted)
    return Names(areas, places)
