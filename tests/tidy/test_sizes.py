"""The tail is bounded: functions, files, lines, arguments, and the shared library as a whole."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import PurePosixPath

from tests.tidy.tree import ROOT, Source, project_files, sources

CODE = ("services", "shared", "bench", "deploy")
# What a tool is told at the end of a line does not count, as ruff sees it too.
PRAGMA = re.compile(r"  # (noqa|type: ignore).*$")
# Written by a tool, run once, never edited: as long as the tables they make.
MIGRATION = re.compile(r"(^|/)(access_)?migrations/")
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
TEST_FILE_LINES_MAX = 700
LINE_COLUMNS_MAX = 100
ARGUMENTS_MAX = 6
SHARED_LINES_MAX = 4_650
# What no service imports and only the runtime chooses: the two logs and how they keep headers, the
# driver, the embedded server, the structure of the database. Why they have a budget of their own
# stands in ARCHITECTURE.md.
ADAPTER_LINES_MAX = 3_500
ADAPTERS = re.compile(
    r"shared/(bus/(embedded|headers|kafka|tables)|"
    r"database/(driver|embedded|server_folder|installation|migrate|bootstrap))"
)
BANNED_NAMES = frozenset(
    {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc", "base"}
)
# A port's and an event's base class may be called what it is.
BASE_ALLOWED = ("shared/events/base.py", "shared/bus/base.py")
LINE_CHECKED = frozenset({".py", ".sh", ".js", ".css", ".html"})


def written() -> list[Source]:
    """Every source that a person writes."""
    return [one for one in sources(*CODE, "tests") if not MIGRATION.search(one.path)]


def _long_functions(source: Source) -> list[str]:
    findings = []
    for function in source.functions():
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            findings.append(source.at(function, f"{function.name} has {lines} lines"))
    return findings


def _crowded_functions(source: Source) -> list[str]:
    findings = []
    for function in source.functions():
        if _is_test_or_fixture(source, function):
            continue
        arguments = function.args
        positional = [
            argument.arg
            for argument in (*arguments.posonlyargs, *arguments.args)
            if argument.arg not in {"self", "cls"}
        ]
        count = len(positional) + len(arguments.kwonlyargs)
        if count > ARGUMENTS_MAX:
            findings.append(source.at(function, f"{function.name} takes {count} arguments"))
    return findings


def _is_test_or_fixture(source: Source, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """What pytest calls names its fixtures as arguments; their number is no interface."""
    if not source.path.startswith("tests/"):
        return False
    decorators = " ".join(ast.unparse(node) for node in function.decorator_list)
    return function.name.startswith("test_") or "fixture" in decorators


def _line_count(source: Source) -> int:
    return len(source.text.splitlines())


def test_functions_stay_short() -> None:
    findings = [f for source in written() for f in _long_functions(source)]
    assert findings == []


def test_functions_take_few_arguments() -> None:
    findings = [f for source in written() for f in _crowded_functions(source)]
    assert findings == []


def test_files_stay_short() -> None:
    limits = dict.fromkeys(CODE, FILE_LINES_MAX) | {"tests": TEST_FILE_LINES_MAX}
    findings = [
        f"{source.path} has {_line_count(source)} lines, at most {limit}"
        for source in written()
        if _line_count(source) > (limit := limits[source.path.split("/")[0]])
    ]
    assert findings == []


def test_lines_fit_on_a_screen() -> None:
    findings = []
    for path in project_files():
        name = path.relative_to(ROOT).as_posix()
        if path.suffix not in LINE_CHECKED or "vendor" in path.parts or MIGRATION.search(name):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if len(PRAGMA.sub("", line)) > LINE_COLUMNS_MAX:
                findings.append(f"{path.relative_to(ROOT)}:{number} {len(line)} columns")
    assert findings == []


def test_shared_stays_small() -> None:
    rooms: Counter[str] = Counter()
    adapters: Counter[str] = Counter()
    for source in sources("shared"):
        room = source.path.split("/")[1]
        if room != "events" and not MIGRATION.search(source.path):
            kind = adapters if ADAPTERS.match(source.path) else rooms
            kind[room] += _line_count(source)
    assert rooms.total() <= SHARED_LINES_MAX, rooms.most_common()
    assert adapters.total() <= ADAPTER_LINES_MAX, adapters.most_common()


def test_files_are_named_by_what_they_hold() -> None:
    findings = [
        source.path
        for source in written()
        if PurePosixPath(source.path).stem in BANNED_NAMES and source.path not in BASE_ALLOWED
    ]
    assert findings == []


def test_a_long_function_is_found() -> None:
    body = "\n".join("    pass" for _ in range(FUNCTION_LINES_MAX))
    short = Source("services/x.py", "def bake():\n" + body.removesuffix("\n    pass"))
    long = Source("services/x.py", "async def bake():\n" + body)
    assert _long_functions(short) == []
    assert _long_functions(long) == ["services/x.py:1 bake has 71 lines"]


def test_a_crowded_function_is_found() -> None:
    crowded = "def bake(self, a, b, *, c, d, e, f, g): ..."
    fitting = "def bake(self, a, b, *, c, d, e, f): ..."
    assert _crowded_functions(Source("services/x.py", fitting)) == []
    assert _crowded_functions(Source("services/x.py", crowded)) == [
        "services/x.py:1 bake takes 7 arguments"
    ]
