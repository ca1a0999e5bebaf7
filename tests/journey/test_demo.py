"""The demo is a test of itself: it ends well, and it would not if anything were missing."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from services.__main__ import SERVICES
from services.demo.figures import read_figures
from services.demo.outbreak import SEED, build_plan
from services.demo.plan import DISEASE, START_AT, Scan
from services.demo.play import Evening, judge, perform, report, without_a_reason
from services.demo.truth import work_out

ROOT = Path(__file__).parents[2]
SEEDS = (SEED, 7, 2024)
OWN = ("services", "services.demo")


def played(*, dropped_event: str | None = None) -> tuple[Evening, str]:
    """An evening played as fast as the services take it, and what was printed."""
    evening, paper = Evening.of(), io.StringIO()
    out = Console(file=paper, width=110, highlight=False)
    perform(evening, SERVICES, out=out, once=True, dropped_event=dropped_event)
    return evening, paper.getvalue()


@pytest.mark.slow
def test_the_town_is_found_as_the_truth_has_it_and_a_missing_reason_is_noticed() -> None:
    evening, paper = played()
    assert "✓ 与真值一致" in paper, paper
    assert judge(evening) == 0
    assert "多点触发预警" in paper
    assert "Several points light up together" in paper
    lacking = without_a_reason(evening)
    again = io.StringIO()
    report(lacking, Console(file=again, width=110))
    assert judge(lacking) == 1
    assert "missing multi_point" in again.getvalue()


@pytest.mark.slow
def test_one_event_lost_on_the_way_is_noticed() -> None:
    plan = Evening.of().plan
    # The dullest there is: somebody at the market on the fourth day.
    dull = next(
        row.external_id
        for parcel in plan.parcels
        for row in parcel.rows
        if isinstance(row, Scan) and row.external_id.startswith("YX-MARKET/")
        and row.external_id.endswith("/4")
    )  # fmt: skip
    evening, paper = played(dropped_event=dull)
    assert judge(evening) == 1
    assert "balance: missing venues" in paper
    assert "✗" in paper


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_play_that_is_told_to_end_leaves_nothing_behind(
    number: signal.Signals, tmp_path: Path
) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-m", "services", "demo", "--once"], cwd=ROOT, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as play:  # fmt: skip
        assert play.stdout is not None
        for line in play.stdout:
            if "Monday" in line:
                break
        [pid_file] = tmp_path.rglob("postmaster.pid")
        server = int(pid_file.read_text().splitlines()[0])
        play.send_signal(number)
        rest = play.stdout.read()
    assert "goodbye" in rest, rest
    assert play.returncode == 130
    assert list(tmp_path.glob("outpost-demo-*")) == []
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_truth_tells_the_story(seed: int) -> None:
    figures = read_figures(DISEASE, START_AT.date())
    plan = build_plan(figures, seed=seed)
    truth = work_out(plan, figures)
    county = plan.town.county_of("cn:980102001000")
    before, after = truth.before, truth.after
    multi_point = [line for line in before["reasons"] if line.startswith(f"multi_point {county}")]
    assert [line.split()[2] for line in multi_point] == ["fever_clinic", "pharmacy", "school"]
    assert not any("cn:980103" in line for line in before["alerts"])
    runaway, shared = plan.roles["runaway"], plan.roles["shared"]
    assert [line.split()[0] for line in before["breaches"]] == [runaway]
    assert [line.split()[-1] for line in after["breaches"]] == ["withdrawn"]
    assert f"breach {county} withdrawn" in after["alerts"]
    assert f"{runaway} quarantine withdrawn" in after["orders"]
    kept = next(line for line in after["orders"] if line.startswith(f"{shared} quarantine open"))
    assert kept.endswith(f"on {plan.roles['second']}:close_contact")
    assert f"{plan.roles['first']} isolation withdrawn" in after["orders"]
    assert any("contact_of_contact" in line for line in after["contacts"])
    assert any("encounter" in line for line in before["contacts"])


def test_the_same_seed_writes_the_same_play() -> None:
    figures = read_figures(DISEASE, START_AT.date())
    one, other = build_plan(figures), build_plan(figures)
    assert one == other
    assert one.parcels[-1].sent_at - one.parcels[0].sent_at < timedelta(days=6)


def test_the_background_alone_alerts_nobody() -> None:
    figures = read_figures(DISEASE, START_AT.date())
    plan = build_plan(figures)
    quiet = [one for one in plan.parcels if one.sent_at < START_AT + timedelta(days=3)]
    discard = next(one for one in plan.parcels if one.discard)
    truth = work_out(type(plan)(plan.seed, plan.town, (*quiet, discard), plan.roles), figures)
    assert truth.before["alerts"] == []
    assert len(truth.before["signals"]) >= 5


def test_the_truth_is_worked_out_without_the_services() -> None:
    """A fresh process that has loaded the truth has loaded nothing of ours but the demo."""
    script = "import sys, services.demo.truth; print(*sorted(sys.modules), sep=chr(10))"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    ours = [name for name in loaded if name.split(".")[0] in ("services", "shared")]
    assert "services.demo.truth" in ours
    foreign = [name for name in ours if name not in OWN and not name.startswith("services.demo.")]
    assert foreign == []
