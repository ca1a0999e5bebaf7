"""The repository names no package registry and no path of one machine; locks carry hashes alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tidy.tree import ROOT, project_files

# Written in pieces, or this file would find itself.
REGISTRIES = re.compile(
    "|".join(
        re.escape("".join(pieces))
        for pieces in (
            ("pypi", ".org"),
            ("python", "hosted"),
            ("registry", ".npmjs"),
            ("deb", ".debian.org"),
            ("maven", ".org"),
            ("repo", ".maven"),
            ("repo1", ".maven"),
        )
    )
)
MACHINE = re.compile("|".join([re.escape(str(ROOT)), "/wor" + "k/", "/roo" + "t/"]))
FOREIGN_LOCKS = frozenset({"uv.lock", "pylock.toml", "poetry.lock", "Pipfile.lock"})


def _texts() -> list[tuple[str, str]]:
    texts = []
    for path in project_files():
        content = path.read_bytes()
        if b"\0" not in content[:8_192]:
            name = path.relative_to(ROOT).as_posix()
            texts.append((name, content.decode("utf-8", errors="replace")))
    return texts


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number} {found[0]}"
        for name, text in _texts()
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), start=1)
        if (found := pattern.search(line))
    ]


def test_no_registry_is_named() -> None:
    assert _lines_with(REGISTRIES) == []


def test_no_path_of_this_machine_is_named() -> None:
    assert _lines_with(MACHINE) == []


def test_no_lock_that_carries_hosts_is_committed() -> None:
    assert [str(path) for path in project_files() if path.name in FOREIGN_LOCKS] == []


@pytest.mark.parametrize(
    "lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda p: p.name
)
def test_every_locked_package_has_a_version_and_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert re.findall(r"https?://|--index-url|--find-links", text) == []
    blocks = [block for block in re.split(r"\n(?=\S)", text) if not block.startswith("#")]
    assert len(blocks) > 20
    unpinned = [
        block.splitlines()[0]
        for block in blocks
        if "==" not in block or "--hash=sha256:" not in block
    ]
    assert unpinned == []


def test_both_locks_agree_on_every_version() -> None:
    versions = [
        set(
            re.findall(
                r"^([\w.\[\]-]+==[^ ;\\]+)", (ROOT / "requirements" / name).read_text(), re.M
            )
        )
        for name in ("runtime.txt", "dev.txt")
    ]
    assert versions[0] - versions[1] == set()
