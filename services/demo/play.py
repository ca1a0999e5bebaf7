"""`make demo`: the town lives its week before your eyes, and the services find what is to be found."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.demo import found as seen
from services.demo.balance import differences, print_alerts, print_sheet, print_verdict
from services.demo.figures import read_figures
from services.demo.found import Found, Names
from services.demo.outbreak import build_plan
from services.demo.plan import DISEASE, START_AT, ZONE, Parcel, Plan, Told, id_of
from services.demo.stage import Stage, open_stage
from services.demo.truth import Truth, work_out
from shared.clock import Clock, FastClock, ManualClock
from shared.service import Service

# Six days in about three and a half minutes.
SPEED = 2_400.0
PORT = 8000
PAUSE_SECONDS = 0.05


class Pace(Protocol):
    """The business clock of a play, and how the play waits for a moment on it."""

    @property
    def clock(self) -> Clock: ...

    def begin(self) -> None: ...

    async def reach(self, moment: datetime) -> None: ...


class AtOnce:
    """The clock stands until the play moves it: as fast as the services take it, and every time the
    same."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_AT)

    def begin(self) -> None:
        """Nothing to start."""

    async def reach(self, moment: datetime) -> None:
        self.clock.move_to(max(moment, self.clock.now()))


class Fast:
    """A fast clock that stands until the curtain rises, however long the services take to start."""

    def __init__(self) -> None:
        self._running: FastClock | None = None

    @property
    def clock(self) -> Clock:
        return self

    def now(self) -> datetime:
        return START_AT if self._running is None else self._running.now()

    def begin(self) -> None:
        self._running = FastClock(START_AT, speed=SPEED)

    async def reach(self, moment: datetime) -> None:
        while self.now() < moment:
            await asyncio.sleep(PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class Spoiled:
    """What a test leaves out, to see the play fail: the row of this id, or one reason of the alert."""

    event: str | None = None
    reason: bool = False


def play(
    services: Sequence[Service], *, once: bool, spoiled: Spoiled | None = None,
    console: Console | None = None,
) -> int:  # fmt: skip
    """Play to the end. 0 when everything found equals the truth, else 1.

    With `once`: as fast as it goes, without a browser. Otherwise paced, with the console open, until
    Ctrl-C.
    """
    out = console or Console(highlight=False)
    figures = read_figures(DISEASE, START_AT.date())
    plan = build_plan(figures)
    truth = work_out(plan, figures)
    with tempfile.TemporaryDirectory(prefix="outpost-demo-") as name:
        folder = Path(name)
        file = folder / "truth.json"
        file.write_text(json.dumps(truth.as_dict(), ensure_ascii=False, indent=1), "utf-8")
        performance = Performance(plan, AtOnce() if once else Fast(), out, spoiled or Spoiled())
        try:
            return uvloop.run(performance.run(services, folder, truth))
        except KeyboardInterrupt:
            out.print("\n再见 goodbye")
            return 0


def judge(truth: Truth, found: Found, plan: Plan, names: Names, *, out: Console) -> int:
    """Print the balance sheet, the alerts with their reasons, and the verdict."""
    print_sheet(out, truth, found, plan)
    print_alerts(out, found, plan, names)
    told = differences(truth, found)
    print_verdict(out, told)
    return 1 if told else 0


class Performance:
    """One play of one plan."""

    def __init__(self, plan: Plan, pace: AtOnce | Fast, out: Console, spoiled: Spoiled) -> None:
        self._plan = plan
        self._pace = pace
        self._out = out
        self._spoiled = spoiled
        self._found = Found()
        self._names: Names | None = None

    async def run(self, services: Sequence[Service], folder: Path, truth: Truth) -> int:
        """The whole evening: stage, play, sheet; without `once` it stays open after the sheet."""
        started = time.monotonic()
        once = isinstance(self._pace, AtOnce)
        self._welcome()
        with self._out.status("PostgreSQL, 事件日志, 五个服务 … five services are starting"):
            stage_of = open_stage(services, folder, self._pace.clock, port=0 if once else PORT)
            stage = await stage_of.__aenter__()
        try:
            await stage.register(self._plan.town)
            await stage.settle()
            self._names = await seen.names_of(self._plan, stage)
            if not once:
                self._open_console(stage)
            await self._play(stage)
            result = self._judge(truth)
            self._out.print(f"[dim]{time.monotonic() - started:.1f} s[/]")
            if not once:
                self._out.print("控制台仍开着，按 Ctrl-C 结束。The console stays open; Ctrl-C ends.")
                await asyncio.Event().wait()
            return result
        finally:
            await stage_of.__aexit__(None, None, None)

    def _judge(self, truth: Truth) -> int:
        assert self._names is not None
        found = self._found
        if self._spoiled.reason:
            found.after = without_a_reason(found.after)
        return judge(truth, found, self._plan, self._names, out=self._out)

    async def _play(self, stage: Stage) -> None:
        assert self._names is not None
        parcels = self._plan.parcels
        progress = Progress(
            SpinnerColumn(), TextColumn("{task.fields[clock]}"), BarColumn(bar_width=30),
            TextColumn("{task.description}"), TimeElapsedColumn(), console=self._out,
        )  # fmt: skip
        self._pace.begin()
        with progress:
            task = progress.add_task("", total=len(parcels), clock="")
            for parcel in parcels:
                await self._pace.reach(parcel.sent_at)
                clock = f"{parcel.sent_at.astimezone(ZONE):%m-%d %H:%M}"
                rows = self._rows_so_far(parcel)
                progress.update(task, advance=1, clock=clock, description=rows)
                await self._act(stage, parcel)
                if parcel.told is not None and parcel.told.headline:
                    progress.print(self._line(parcel, parcel.told))
            progress.update(task, description="等待各服务判定完毕 settling")
            await stage.settle()
        self._found.after = await seen.look(stage, self._names)
        self._found.alerts = await seen.look_at_alerts(stage)
        self._found.balance = await seen.look_at_balance(stage, self._names)

    async def _act(self, stage: Stage, parcel: Parcel) -> None:
        assert self._names is not None
        if parcel.wait:
            await stage.settle()
        if parcel.discard is not None:
            self._found.before = await seen.look(stage, self._names)
            person_id = str(self._plan.town.persons[parcel.discard.person].id)
            cases = (await stage.ask("/tracing/cases", standing="true"))["cases"]
            for case in cases:
                if case["person_id"] == person_id:
                    await stage.discard(case["id"], parcel.discard.reason)
        if self._spoiled.event is not None:
            parcel = parcel.without(self._spoiled.event)
        if parcel.rows:
            answer = await stage.send(parcel)
            self._found.verdicts += seen.verdict_lines(answer)

    _sent = 0

    def _rows_so_far(self, parcel: Parcel) -> str:
        self._sent += len(parcel.rows)
        return f"{self._sent:,} 行 rows"

    def _line(self, parcel: Parcel, told: Told) -> str:
        if parcel.sent_at.hour == 0:
            return f"[bold]── {told.zh}  {told.en}[/]"
        clock = f"{parcel.sent_at.astimezone(ZONE):%H:%M}"
        return f"   [cyan]{clock}[/]  {told.zh}\n          [dim]{told.en}[/]"

    def _welcome(self) -> None:
        town = self._plan.town
        self._out.print("[bold]前哨 Outpost[/]  云溪县的一周 a week in Yunxi County")
        self._out.print(
            f"[dim]{len(town.persons)} 人 persons · {len(town.places)} 处 places ·"
            f" {len(town.sources)} 个来源 sources · 种子 seed {self._plan.seed}[/]"
        )

    def _open_console(self, stage: Stage) -> None:
        url = f"{stage.runtime.base_url}/console/"
        self._out.print(f"控制台 console  [bold]{url}[/]")
        self._out.print(f"账号 login  [bold]{stage.login}[/]   密码 password  [bold]{stage.password}[/]")
        with suppress(webbrowser.Error):
            webbrowser.open(url)


def without_a_reason(state: dict[str, list[str]]) -> dict[str, list[str]]:
    """The state with one reason of the multi-point alert left out of the answer."""
    reasons = list(state["reasons"])
    reasons.remove(next(line for line in reasons if line.startswith("multi_point ")))
    return {**state, "reasons": reasons}
