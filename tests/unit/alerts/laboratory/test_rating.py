"""What counts as found, as false and as late; and rules over a small city, end to end."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from services.alerts.__main__ import main
from services.alerts.domain.areas import AreaTree
from services.alerts.domain.city_log import CityLog
from services.alerts.laboratory import backtest_report as report
from services.alerts.laboratory.backtest import RuleSet, alarms_of, read_rules, shipped_rules
from services.alerts.laboratory.comparison import Grid, compare, daily, narrowed, scaled
from services.alerts.laboratory.generated.city import generate
from services.alerts.laboratory.generated.parameters import Extent
from services.alerts.laboratory.rating import Alarm, Rating, lead_days, rate, together
from services.alerts.laboratory.trial import Trial, Truth, trial_of

RULES = Path(__file__).parents[4] / "docs" / "examples" / "streams_agree.yaml"
ANY = frozenset[str]()
COUNTY, TOWN, OTHER = "c", "t", "u"
TREE = AreaTree.of(
    [
        (COUNTY, None, "county", "Asia/Shanghai"),
        (TOWN, COUNTY, "township", "Asia/Shanghai"),
        (OTHER, COUNTY, "township", "Asia/Shanghai"),
    ]
)


def _trial(*truths: Truth) -> Trial:
    return Trial("by hand", CityLog.of([]), TREE, 100, 169, 0, truths)


def _truth(number: int = 0, first: int = 120, last: int = 130) -> Truth:
    areas = frozenset((TOWN, COUNTY))
    return Truth(number, "measles", "rash", areas, first, last, 40)


def _alarm(area_id: str, day: int, *, until: int | None = None, of: str = "rash") -> Alarm:
    return Alarm("rule@1", area_id, frozenset({of}) if of else ANY, day, until or day)


def test_an_alert_in_the_right_place_time_and_syndrome_finds_an_outbreak() -> None:
    rating = rate(_trial(_truth()), [_alarm(TOWN, 124, until=127), _alarm(TOWN, 122)])
    assert rating.delays.tolist() == [2.0]
    assert rating.false_rate.value == 0
    # Days 122 and 124 to 127 of eleven.
    assert rating.daily_share.value == pytest.approx(5 / 11)
    assert rating.predictive_value.value == 1


@pytest.mark.parametrize(
    "alarm",
    [
        _alarm(OTHER, 124),
        _alarm(TOWN, 119, until=125),
        _alarm(TOWN, 131),
        _alarm(TOWN, 124, of="flu"),
    ],
    ids=["elsewhere", "opened before", "afterwards", "another syndrome"],
)
def test_an_alert_beside_it_is_false_and_finds_nothing(alarm: Alarm) -> None:
    rating = rate(_trial(_truth()), [alarm])
    assert not rating.found.any()
    # One false alert in one county and ten weeks.
    assert rating.false_rate.value == pytest.approx(0.1)


def test_an_alert_of_any_syndrome_is_of_every_outbreak_and_days_outside_count_nowhere() -> None:
    rating = rate(
        _trial(_truth()), [_alarm(TOWN, 120, of=""), _alarm(OTHER, 99), _alarm(OTHER, 170)]
    )
    assert rating.delays.tolist() == [0.0]
    assert rating.false_alarms.sum() == 0


def test_a_miss_is_later_than_everything_in_quantiles_and_leads() -> None:
    truths = tuple(_truth(number, 100 + 20 * number, 110 + 20 * number) for number in range(3))
    ours = rate(_trial(*truths), [_alarm(TOWN, 101), _alarm(TOWN, 122), _alarm(TOWN, 143)])
    theirs = rate(_trial(*truths), [_alarm(TOWN, 105)])
    assert ours.delay_quantile(0.5) == 2
    assert theirs.delay_quantile(0.5) == np.inf
    assert lead_days(ours, theirs, misses=False)[0].value == 4
    assert lead_days(ours, theirs, misses=True)[0].value == np.inf
    assert lead_days(theirs, ours, misses=False)[0].value == -4


def test_two_trials_together_are_as_many_county_weeks_and_outbreaks() -> None:
    one = rate(_trial(_truth()), [_alarm(OTHER, 124)])
    both = together([one, one])
    assert isinstance(both, Rating)
    assert (len(both.truths), both.false_rate.value) == (2, one.false_rate.value)


@pytest.fixture(scope="module")
def trial() -> Trial:
    extent = Extent(counties=1, townships_per_county=4, history_days=120, judged_days=60)
    return trial_of(generate(3, extent))


def test_rules_over_a_city_are_compared_with_every_stream_and_told(
    trial: Trial, tmp_path: Path
) -> None:
    rules = read_rules(RULES)
    rules = replace(rules, rules=rules.rules[:1])
    seen: list[None] = []
    rules = narrowed(rules, "pharmacy")
    grid = Grid(daily=(0.01,), factors=(1.0, 10.0))
    compared = compare(
        rules, shipped_rules(), [trial], grid=grid, advance=lambda: seen.append(None)
    )
    assert len(seen) == grid.steps(rules, shipped_rules()) == 6
    console = Console(file=StringIO(), width=170)
    report.show(console, compared, "small")
    written = json.loads(report.as_json(compared, {}))
    assert {"own", "by_day", "by_terms"} == set(written["curves"])
    assert len(written["rules"]["outbreaks"]) == len(trial.truths)
    report.plot(compared, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1_000


def test_where_no_outbreak_is_known_only_alerts_are_counted(tmp_path: Path) -> None:
    compared = compare(read_rules(RULES), shipped_rules(), [_trial()], grid=Grid((1e-3,), (1.0,)))
    shown = StringIO()
    report.show(Console(file=shown, width=200), compared, "nothing labelled")
    assert "only alerts could be counted" in shown.getvalue()
    written = json.loads(report.as_json(compared, {}))
    assert written["rules"]["found"] == [None, None, None]
    assert set(written["best_streams"].values()) == {None}
    report.plot(compared, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1_000


def test_lower_thresholds_never_raise_more_evidence(trial: Trial) -> None:
    rules = read_rules(RULES)

    def days(tested: RuleSet) -> int:
        return sum(one.until - one.day + 1 for one in alarms_of(tested, trial))

    assert days(scaled(rules, 0.01)) <= days(rules) <= days(scaled(rules, 1000.0))


def test_a_narrowed_and_a_daily_rule_read_one_stream() -> None:
    rules = read_rules(RULES)
    alone, by_day = (
        [stored.document for versions in one.rules for stored in versions]
        for one in (narrowed(rules, "pharmacy"), daily(rules, "pharmacy", 0.01))
    )
    assert {document.point_kinds for document in (*alone, *by_day)} == {("pharmacy",)}
    assert all(document.consensus is not None for document in alone)
    assert all(document.consensus is None for document in by_day)
    assert {document.kinds["pharmacy"].p_below for document in by_day} == {0.01}


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    told_ = CliRunner().invoke(main, ["backtest", "--rules", str(RULES)])
    assert told_.exit_code == 2
    assert "--city SEED" in told_.output
    broken = tmp_path / "new.yaml"
    broken.write_text("id: x\nversion: 1\ndocument: {secret: 7}\n", encoding="utf-8")
    told_ = CliRunner().invoke(main, ["backtest", "--rules", str(broken), "--city", "1"])
    assert told_.exit_code == 1
    assert "new.yaml is no set of rules" in told_.output


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id: a\nversion: 1\n", "no 'document'"),
        ("id: a\nversion: 1\ndocument: {level: purple}\n", "level: Input should be 'blue'"),
        ("- a\n", "is no set of rules"),
        ("a: {\n", "is no set of rules"),
    ],
)
def test_a_file_that_holds_no_rules_is_said_to_in_words(
    tmp_path: Path, text: str, told: str
) -> None:
    file = tmp_path / "new.yaml"
    file.write_text(text)
    answer = CliRunner().invoke(main, ["backtest", "--rules", str(file), "--city", "101"])
    assert answer.exit_code == 1
    assert told in answer.output
    assert "{'" not in answer.output
