"""Calls that belong in one place: commit, the clock, the environment, print."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from tests.tidy.tree import ROOT, Source, dotted, sources

Rule = Callable[[Source], Iterator[str]]

DATABASE_TIME = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\(\s*\)"
    r"|\bcurrent_(timestamp|date|time)\b|\blocaltime(stamp)?\b",
    re.IGNORECASE,
)
DATABASE_TIME_FUNCTIONS = frozenset(
    f"func.{name}"
    for name in (
        "now",
        "current_timestamp",
        "current_date",
        "current_time",
        "localtime",
        "localtimestamp",
        "clock_timestamp",
        "statement_timestamp",
        "transaction_timestamp",
    )
)
REAL_TIME = re.compile(
    r"(^|\.)(datetime\.(now|utcnow|today)|date\.today|time\.(time|time_ns|localtime|gmtime))$"
)


def commits(source: Source) -> Iterator[str]:
    """One transaction, closed at its edge: the unit of work. A consumer's own stores offsets."""
    if source.path == "shared/database/work.py":
        return
    stores_offsets = source.path.startswith(("shared/bus/", "shared/delivery/"))
    own_tables = source.path.startswith(("shared/bus/", "shared/database/"))
    for call in source.calls():
        name = dotted(call.func).rpartition(".")
        receiver = name[0].rpartition(".")[2].lstrip("_")
        if name[2] == "commit" and name[1]:
            if not (stores_offsets and receiver in {"consumer", "reader", ""}):
                yield source.at(call, f"commits through {dotted(call.func)}()")
        elif name[2] in {"begin", "begin_nested"} and name[1] and not own_tables:
            yield source.at(call, f"opens a transaction of its own: {dotted(call.func)}()")
    for text in source.strings():
        if str(text.value).strip().rstrip(";").lower() in {"commit", "begin", "end transaction"}:
            yield source.at(text, "controls a transaction by SQL text")


def database_time(source: Source) -> Iterator[str]:
    """Business time is handed in; a database has no drill clock and no replay."""
    for text in source.strings():
        if found := DATABASE_TIME.search(str(text.value)):
            yield source.at(text, f"asks the database for the time: {found[0]}")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and dotted(node) in DATABASE_TIME_FUNCTIONS:
            yield source.at(node, f"asks the database for the time: {dotted(node)}")


def real_time(source: Source) -> Iterator[str]:
    if source.path == "shared/clock.py":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and REAL_TIME.search(dotted(node)):
            yield source.at(node, f"asks for the time itself: {dotted(node)}")


def environment(source: Source) -> Iterator[str]:
    """Settings are read once, in settings; what a program needs is handed to it."""
    if source.path.endswith("/settings.py") or source.path == HANDS_ON_ENVIRONMENT:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and dotted(node) in {"os.environ", "os.getenv"}:
            yield source.at(node, f"reads the environment: {dotted(node)}")
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            for name in node.names:
                if name.name in {"environ", "getenv"}:
                    yield source.at(node, f"reads the environment: {name.name}")


# Reads no setting: it picks the few variables that the database server's own process may see.
HANDS_ON_ENVIRONMENT = "shared/database/installation.py"


def prints(source: Source) -> Iterator[str]:
    if source.path.endswith("/__main__.py") or source.path.startswith("services/demo/"):
        return
    for call in source.calls():
        if dotted(call.func) == "print":
            yield source.at(call, "prints; say it in the log")


def patches(source: Source) -> Iterator[str]:
    """Fakes are handed in. A patched name proves the path of an import, not a behaviour."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unittest"):
            if "mock" in f"{node.module} {[name.name for name in node.names]}":
                yield source.at(node, "imports mock")
        elif isinstance(node, ast.Import):
            if any(name.name in {"mock", "unittest.mock"} for name in node.names):
                yield source.at(node, "imports mock")
        elif isinstance(node, ast.arg) and node.arg == "mocker":
            yield source.at(node, "asks for mocker")
        elif isinstance(node, ast.Call) and dotted(node.func) == "monkeypatch.setattr":
            yield source.at(node, "replaces an attribute; hand in a fake")


def sleeps(source: Source) -> Iterator[str]:
    """Tests wait for a state with a bound. `sleep(0)` only lets others run."""
    if source.path in WAITING:
        return
    for call in source.calls():
        if dotted(call.func).rpartition(".")[2] != "sleep":
            continue
        if call.args and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0:
            continue
        yield source.at(call, f"waits for time to pass: {dotted(call.func)}()")


# The bounded wait itself; everything else calls it.
WAITING = frozenset({"tests/eventually.py"})

RULES: list[tuple[Rule, tuple[str, ...]]] = [
    (commits, ("services", "shared")),
    (database_time, ("services", "shared")),
    (real_time, ("services", "shared", "tests")),
    (environment, ("services", "shared")),
    (prints, ("services", "shared")),
    (patches, ("tests", "bench")),
    (sleeps, ("tests",)),
]


@pytest.mark.parametrize(
    ("rule", "folders"), RULES, ids=lambda value: getattr(value, "__name__", "")
)
def test_banned_calls_stand_only_in_their_place(rule: Rule, folders: tuple[str, ...]) -> None:
    findings = [finding for source in sources(*folders) for finding in rule(source)]
    assert findings == []


def test_migrations_in_sql_ask_no_database_for_the_time() -> None:
    findings = [
        path.relative_to(ROOT).as_posix()
        for folder in ("services", "shared")
        for path in (ROOT / folder).rglob("*.sql")
        if DATABASE_TIME.search(path.read_text(encoding="utf-8"))
    ]
    assert findings == []


BREACHES = [
    (commits, "await session.commit()"),
    (commits, "async with engine.begin(): ..."),
    (commits, "await connection.execute('COMMIT;')"),
    (database_time, "text('select now()')"),
    (database_time, "text(f'delete from {table} where at < CURRENT_TIMESTAMP')"),
    (database_time, "Column(server_default=func.now())"),
    (real_time, "datetime.now(UTC)"),
    (real_time, "datetime.datetime.utcnow()"),
    (real_time, "default_factory(datetime.now)"),
    (real_time, "time.time()"),
    (environment, "os.environ['HOME']"),
    (environment, "from os import getenv"),
    (prints, "print('x')"),
    (patches, "from unittest.mock import patch"),
    (patches, "from unittest import mock"),
    (patches, "def test_x(mocker): ..."),
    (patches, "monkeypatch.setattr('a.b', 1)"),
    (sleeps, "await asyncio.sleep(0.1)"),
    (sleeps, "time.sleep(seconds)"),
]


@pytest.mark.parametrize(("rule", "text"), BREACHES)
def test_a_breach_is_found(rule: Rule, text: str) -> None:
    assert len(list(rule(Source("services/x.py", f"async def f():\n    {text}")))) == 1


INNOCENTS = [
    (commits, "shared/delivery/consuming.py", "await consumer.commit(positions)"),
    (commits, "shared/database/work.py", "await session.commit()"),
    (database_time, "services/x.py", '"""Never calls now()."""'),
    (real_time, "shared/clock.py", "datetime.now(UTC)"),
    (real_time, "services/x.py", "clock.now()"),
    (environment, "services/intake/settings.py", "os.environ"),
    (sleeps, "tests/x.py", "await asyncio.sleep(0)"),
]


@pytest.mark.parametrize(("rule", "path", "text"), INNOCENTS)
def test_what_stands_in_its_place_is_left_alone(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, f"async def f():\n    {text}"))) == []
