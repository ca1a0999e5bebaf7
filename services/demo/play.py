"""`make demo`: the town lives its week, and the services find what is to be found."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import tempfile
import time
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.demo import found as seen
from services.demo.balance import differences, print_alerts, print_sheet, print_verdict
from services.demo.figures import read_figures
from services.demo.found import Found, Names
from services.demo.outbreak import SEED, build_plan
from services.demo.pace import AtOnce, Fast
from services.demo.plan import DISEASE, START_AT, ZONE, Parcel, Plan, Told
from services.demo.stage import Stage, open_stage
from services.demo.truth import Truth, work_out
from shared.service import Service

PORT = 8000
# Where nobody watches (a pipe, a log) the sheet still wants its width.
COLUMNS_WITHOUT_TERMINAL = 110
KEPT_IN = Path("var") / "demo"
INTERRUPTED = 130


def play(services: Sequence[Service], *, once: bool, seed: int = SEED) -> int:
    """Play to the end. 0 when everything found equals the truth file, else 1.

    With `once`: as fast as the services take it, without a browser. Otherwise paced, with the
    console open, until Ctrl-C. `kill` and a closed terminal end it as Ctrl-C does.
    """
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = COLUMNS_WITHOUT_TERMINAL
    evening = Evening.of(seed)
    keep(evening.truth.as_dict(), "truth")
    try:
        perform(evening, services, out=out, once=once)
    except (KeyboardInterrupt, asyncio.CancelledError):
        out.print("\n再见 goodbye")
    if not evening.played:
        return INTERRUPTED
    keep(evening.found.as_dict(), "found")
    return judge(evening)


def keep(content: dict[str, object], name: str) -> None:
    """Truth and findings of the last play, to be read and compared by hand."""
    KEPT_IN.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, ensure_ascii=False, indent=1)
    (KEPT_IN / f"{name}.json").write_text(text + "\n", encoding="utf-8")


@dataclass(slots=True)
class Evening:
    """A plan, what must come of it, and what did."""

    plan: Plan
    truth: Truth
    found: Found = field(default_factory=Found)
    names: Names | None = None
    played: bool = False

    @classmethod
    def of(cls, seed: int = SEED) -> Evening:
        figures = read_figures(DISEASE, START_AT.date())
        plan = build_plan(figures, seed=seed)
        return cls(plan, work_out(plan, figures))


def perform(
    evening: Evening, services: Sequence[Service], *, out: Console, once: bool,
    dropped_event: str | None = None,
) -> None:  # fmt: skip
    """Fill `evening.found`. `dropped_event` names a row that gets lost on the way, for a test."""
    with tempfile.TemporaryDirectory(prefix="outpost-demo-") as name:
        performance = Performance(evening, out, AtOnce() if once else Fast())
        performance.dropped_event = dropped_event
        uvloop.run(performance.run(services, Path(name)))


def judge(evening: Evening) -> int:
    """0 when everything found equals the truth."""
    return 1 if differences(evening.truth, evening.found) else 0


def without_a_reason(evening: Evening) -> Evening:
    """The same evening with one reason of the multi-point alert missing from the answer."""
    state = evening.found.after
    lost = next(line for line in state["reasons"] if line.startswith("multi_point "))
    reasons = [line for line in state["reasons"] if line != lost]
    return replace(evening, found=replace(evening.found, after={**state, "reasons": reasons}))


def report(evening: Evening, out: Console) -> None:
    """Print the balance sheet, the alerts with their reasons, and whether all is as it must be."""
    assert evening.names is not None
    print_sheet(out, evening.truth, evening.found, evening.plan)
    print_alerts(out, evening.found, evening.plan, evening.names)
    print_verdict(out, differences(evening.truth, evening.found))


class Performance:
    """One evening being played."""

    dropped_event: str | None = None

    def __init__(self, evening: Evening, out: Console, pace: AtOnce | Fast) -> None:
        self._evening = evening
        self._plan = evening.plan
        self._found = evening.found
        self._out = out
        self._pace = pace
        self._rows_sent = 0

    async def run(self, services: Sequence[Service], folder: Path) -> None:
        """Stage, play, sheet; a paced one stays open after the sheet."""
        started = time.monotonic()
        _end_in_order()
        self._welcome()
        status = self._out.status("五个服务启动中 … PostgreSQL, event log and five services start")
        status.start()
        try:
            async with open_stage(services, folder, self._pace.clock, port=self._port()) as stage:
                await stage.register(self._plan.town)
                await stage.settle()
                self._evening.names = await seen.names_of(self._plan, stage)
                status.stop()
                if isinstance(self._pace, Fast):
                    self._open_console(stage)
                await self._play(stage)
                report(self._evening, self._out)
                self._out.print(f"[dim]{time.monotonic() - started:.1f} s[/]")
                if isinstance(self._pace, Fast):
                    self._out.print(
                        "控制台仍开着，Ctrl-C 结束  the console stays open until Ctrl-C"
                    )
                    await stage.runtime.wait_closed()
        finally:
            status.stop()

    async def _play(self, stage: Stage) -> None:
        names = self._evening.names
        assert names is not None
        parcels = self._plan.parcels
        progress = Progress(
            SpinnerColumn(), TextColumn("{task.fields[clock]}"), BarColumn(bar_width=30),
            TextColumn("{task.description}"), TimeElapsedColumn(), console=self._out,
        )  # fmt: skip
        self._pace.start()
        with progress:
            task = progress.add_task("", total=len(parcels), clock="")
            for parcel in parcels:
                await self._pace.reach(parcel.sent_at)
                await self._act(stage, parcel, names)
                clock = f"{parcel.sent_at.astimezone(ZONE):%m-%d %H:%M}"
                rows = f"{self._rows_sent:,} 行 rows"
                progress.update(task, advance=1, clock=clock, description=rows)
                if parcel.told is not None:
                    progress.print(_line(parcel, parcel.told))
            progress.update(task, description="等各服务判定完毕 settling")
            await stage.settle()
        self._pace.end()
        self._found.after = await seen.look(stage, names)
        self._found.alerts = await seen.look_at_alerts(stage)
        self._found.balance = await seen.look_at_balance(stage, names)
        self._evening.played = True

    async def _act(self, stage: Stage, parcel: Parcel, names: Names) -> None:
        if parcel.wait:
            await stage.settle()
        if parcel.discard is not None:
            self._found.before = await seen.look(stage, names)
            person_id = str(self._plan.town.persons[parcel.discard.person].id)
            cases = (await stage.ask("/tracing/cases", standing="true"))["cases"]
            for case in cases:
                if case["person_id"] == person_id:
                    await stage.discard(case["id"], parcel.discard.reason)
        if self.dropped_event is not None:
            parcel = parcel.without(self.dropped_event)
        if parcel.rows:
            self._found.verdicts += seen.verdict_lines(await stage.send(parcel))
            self._rows_sent += len(parcel.rows)

    def _welcome(self) -> None:
        town = self._plan.town
        self._out.print("[bold]前哨 Outpost[/]  云溪县的一周  a week in Yunxi County")
        self._out.print(
            f"[dim]{len(town.persons)} 人 persons · {len(town.places)} 处 places ·"
            f" {len(town.sources)} 个来源 sources · 种子 seed {self._plan.seed}[/]"
        )

    def _open_console(self, stage: Stage) -> None:
        url = f"{stage.runtime.base_url}/console/"
        self._out.print(f"控制台 console  [bold]{url}[/]")
        self._out.print(f"账号 login  [bold]{stage.login}[/]")
        self._out.print(f"密码 password  [bold]{stage.password}[/]")
        with suppress(webbrowser.Error):
            webbrowser.open(url)

    def _port(self) -> int:
        """The port that people know, if it is free and people will come."""
        if isinstance(self._pace, AtOnce):
            return 0
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", PORT))
            except OSError:
                return 0
        return PORT


def _end_in_order() -> None:
    """Let SIGTERM and SIGHUP cancel the play: its PostgreSQL must not outlive it."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _line(parcel: Parcel, told: Told) -> str:
    if not parcel.rows and parcel.discard is None:
        return f"[bold]── {told.zh}  {told.en}[/]"
    clock = f"{parcel.sent_at.astimezone(ZONE):%H:%M}"
    return f"   [cyan]{clock}[/]  {told.zh}\n          [dim]{told.en}[/]"
