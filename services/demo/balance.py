"""The balance sheet: expected beside found, and the alert with its reasons, in both languages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from services.demo.found import Found, Names, reasons_of
from services.demo.lights import Reason
from services.demo.plan import ZONE, Plan
from services.demo.truth import SECTIONS, Truth

LINES_SHOWN = 30
FATES = ("received", "stored", "duplicate", "rejected")
LEVEL_STYLES = {"blue": "blue", "yellow": "yellow", "orange": "dark_orange", "red": "red"}
KINDS = {
    "fever_clinic": ("发热门诊", "fever clinic"),
    "pharmacy": ("药店", "pharmacy"),
    "school": ("学校", "school"),
    "breach": ("违反隔离", "breach"),
    "co_location": ("时空伴随", "co-location"),
    "positive_result": ("阳性结果", "positive result"),
    "checkpoint_fever": ("卡口测温", "checkpoint fever"),
}
ROWS = (
    ("cases", "", "病例 cases"),
    ("contacts", " close_contact ", "密接 close contacts"),
    ("contacts", " contact_of_contact ", "次密接 contacts of contacts"),
    ("contacts", " withdrawn", "撤回的接触者 contacts withdrawn"),
    ("orders", " quarantine open", "隔离令 quarantine orders"),
    ("orders", " isolation open", "病例隔离 isolation orders"),
    ("orders", " withdrawn", "撤回的管控 orders withdrawn"),
    ("breaches", " standing", "违规 breaches"),
    ("breaches", " withdrawn", "撤回的违规 breaches withdrawn"),
    ("signals", "", "信号 signals"),
    ("signals", "co_location ", "其中时空伴随 of them co-locations"),
    ("alerts", " open ", "预警 alerts"),
    ("alerts", " withdrawn", "撤回的预警 alerts withdrawn"),
    ("reasons", "", "预警理由 reasons"),
)


def differences(truth: Truth, found: Found) -> list[str]:
    """One line per record that only one side knows; empty when both say the same."""
    told = _compare("balance", truth.balance, found.balance)
    told += _compare("verdicts", truth.verdicts, found.verdicts)
    for name, expected, seen in (
        ("before", truth.before, found.before),
        ("after", truth.after, found.after),
    ):
        for section in SECTIONS:
            told += _compare(f"{name} {section}", expected[section], seen.get(section, []))
    return told


def _compare(name: str, expected: Sequence[str], seen: Sequence[str]) -> list[str]:
    missing, foreign = Counter(expected) - Counter(seen), Counter(seen) - Counter(expected)
    told = [f"{name}: missing {line}" for line in sorted(missing.elements())]
    return told + [f"{name}: unexpected {line}" for line in sorted(foreign.elements())]


def print_sheet(console: Console, truth: Truth, found: Found, plan: Plan) -> None:
    """Sources, then everything that follows from them, before and after the first case fell."""
    console.print(_sources_table(truth, found, plan))
    console.print(_records_table(truth, found))


def print_alerts(console: Console, found: Found, plan: Plan, names: Names) -> None:
    """Every alert that stands in the end, with the whole explanation."""
    for alert in found.alerts:
        if alert["state"] != "withdrawn":
            console.print(_alert_panel(alert, plan, names))


def print_verdict(console: Console, told: Sequence[str]) -> None:
    if not told:
        console.print("[bold green]✓ 与真值一致  equal to the truth file[/]")
        return
    for line in told[:LINES_SHOWN]:
        console.print(Text(f"  {line}", "red"))
    if len(told) > LINES_SHOWN:
        console.print(f"  [red]… {len(told) - LINES_SHOWN} more[/]")
    console.print(f"[bold red]✗ {len(told)} 处不符  differences from the truth file[/]")


def _table(title: str) -> Table:
    return Table(title=title, title_style="bold", header_style="dim", title_justify="left")


def _sources_table(truth: Truth, found: Found, plan: Plan) -> Table:
    table = _table("收支平衡  received = stored + duplicate + rejected")
    table.add_column("来源 source")
    titles = ("收到 received", "入库 stored", "重复 duplicate", "拒收 rejected")
    for title in titles:
        table.add_column(title, justify="right")
    table.add_column("逐日 by day", justify="center")
    expected, seen = _sums(truth.balance), _sums(found.balance)
    for code in sorted(expected.keys() | seen.keys()):
        source = plan.town.sources.get(code)
        label = f"{source.zh} {source.en}" if source else code
        own = [line for line in truth.balance if line.split(" ", 1)[0] == code]
        days = [line for line in found.balance if line.split(" ", 1)[0] == code]
        one, other = expected.get(code, Counter()), seen.get(code, Counter())
        table.add_row(label, *(_pair(one[f], other[f]) for f in FATES), _mark(own == days))
    table.add_section()
    one = sum(expected.values(), Counter[str]())
    other = sum(seen.values(), Counter[str]())
    equal = sorted(truth.balance) == sorted(found.balance)
    table.add_row("合计 total", *(_pair(one[f], other[f]) for f in FATES), _mark(equal))
    return table


def _records_table(truth: Truth, found: Found) -> Table:
    table = _table("由此而来  what follows from it: 应有 expected → 实有 found")
    table.add_column("")
    table.add_column("首例排除前 before the discard", justify="right")
    table.add_column("", justify="center")
    table.add_column("排除后 after", justify="right")
    table.add_column("", justify="center")
    for section, mark, label in ROWS:
        cells: list[RenderableType] = []
        for expected, seen in ((truth.before, found.before), (truth.after, found.after)):
            one = [line for line in expected[section] if _is_of(line, section, mark)]
            other = [line for line in seen.get(section, []) if _is_of(line, section, mark)]
            cells += [_pair(len(one), len(other)), _mark(sorted(one) == sorted(other))]
        table.add_row(label, *cells)
    table.add_section()
    verdicts = sorted(truth.verdicts) == sorted(found.verdicts)
    count = _pair(len(truth.verdicts), len(found.verdicts))
    table.add_row("车站判定 verdicts at the station", count, _mark(verdicts), "", "")
    return table


def _is_of(line: str, section: str, mark: str) -> bool:
    if not mark:
        return not (section == "cases" and line.endswith(" withdrawn"))
    return mark in line


def _sums(lines: Sequence[str]) -> dict[str, Counter[str]]:
    sums: dict[str, Counter[str]] = {}
    for line in lines:
        figures = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)}
        sums.setdefault(line.split(" ", 1)[0], Counter()).update(figures)
    return sums


def _pair(expected: int, found: int) -> Text:
    if expected == found:
        return Text(f"{expected:,}", "default" if expected else "dim")
    return Text(f"{expected:,} → {found:,}", "bold red")


def _mark(equal: bool) -> Text:
    return Text("✓", "green") if equal else Text("✗", "bold red")


def _alert_panel(alert: Mapping[str, Any], plan: Plan, names: Names) -> Panel:
    style = LEVEL_STYLES.get(alert["level"], "white")
    area = next(one for one in plan.town.areas if one.code == alert["area_id"])
    parts: list[Text] = [
        Text(f"{area.zh}：{alert['points']} 个点，{_persons(alert, zh=True)}", "bold"),
        *(Text(f"  • {_reason_zh(one, plan)}") for one in reasons_of(dict(alert), names)),
        Text(f"  {_named(alert['silent_if_text_zh'], alert, names, plan, zh=True)}", "dim"),
        Text(""),
        Text(f"{area.en}: {alert['points']} point(s), {_persons(alert, zh=False)}", "bold"),
        *(Text(f"  • {_reason_en(one, plan)}") for one in reasons_of(dict(alert), names)),
        Text(f"  {_named(alert['silent_if_text_en'], alert, names, plan, zh=False)}", "dim"),
    ]
    title = (
        f"{alert['title_zh']}  {alert['title_en']}"
        f" · {alert['rule_id']}@{alert['rule_version']} · {alert['level']}"
    )
    return Panel(Group(*parts), title=title, title_align="left", border_style=style)


def _named(text: str, alert: Mapping[str, Any], names: Names, plan: Plan, *, zh: bool) -> str:
    """The text with the points' names in place of the beginnings of their ids."""
    for reason in alert["reasons"]:
        point_id = str(reason["point_id"])
        name = _name(names.point(point_id), plan, zh=zh)
        text = text.replace(point_id[:8], f"·{name}" if zh else f"({name})")
    return text


def _persons(alert: Mapping[str, Any], *, zh: bool) -> str:
    named, unlinked = alert["persons"], alert["unlinked_persons"]
    if zh:
        return f"{named} 名已知人员" + (f"，另有 {unlinked} 人未实名" if unlinked else "")
    return f"{named} known person(s)" + (f" and {unlinked} unnamed" if unlinked else "")


def _reason_zh(one: Reason, plan: Plan) -> str:
    kind = KINDS.get(one.kind, (one.kind, ""))[0]
    return (
        f"{kind}·{_name(one.point, plan, zh=True)}：{one.signals} 次信号，{one.persons} 人，"
        f"{_span(one.first_at, one.last_at, '{:%m月%d日 %H:%M}', ' 至 ')}"
    )


def _reason_en(one: Reason, plan: Plan) -> str:
    kind = KINDS.get(one.kind, ("", one.kind))[1]
    return (
        f"{kind}, {_name(one.point, plan, zh=False)}: {one.signals} signal(s), {one.persons}"
        f" person(s), {_span(one.first_at, one.last_at, '{:%d %b %H:%M}', ' to ')}"
    )


def _name(point: str, plan: Plan, *, zh: bool) -> str:
    known = plan.town.places.get(point) or plan.town.sources.get(point)
    if known is None:
        return point
    return known.zh if zh else known.en


def _span(first_at: datetime, last_at: datetime, shape: str, between: str) -> str:
    instants = dict.fromkeys(shape.format(one.astimezone(ZONE)) for one in (first_at, last_at))
    return between.join(instants)
