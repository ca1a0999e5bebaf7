"""Both languages say everything the page needs."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

from services.console import api
from services.console.api.language import words_in
from services.console.domain.alerts import ACTS, LEVELS
from services.console.domain.cases import DEGREES
from services.console.domain.words import LANGUAGES, preferred
from services.console.repository.owners import OWNERS
from services.console.schemas.questions import QuestionAsked
from shared.events.alerts import AlertChanged
from shared.events.tracing import Classification, Reason

FOLDER = Path(api.__file__).parent
# Keys that are put together from a code, and every code that can occur.
STATES: frozenset[str] = frozenset(get_args(AlertChanged.model_fields["state"].annotation))
BUILT = (
    {f"state.{state}" for state in STATES}
    | {f"level.{level}" for level in LEVELS}
    | {f"act.{act}" for act in ACTS}
    | {f"owner.{owner}" for owner in OWNERS}
    | {f"trouble.{trouble}" for trouble in ("away", "refused", "broken")}
    | {f"health.{state}" for state in ("ready", "unready", "away")}
    | {f"degree.{degree}" for degree in DEGREES}
    | {f"classification.{one}" for one in get_args(Classification)}
    | {f"met.{code}" for code in get_args(Reason.model_fields["code"].annotation)}
    | {f"field.{name}" for name in QuestionAsked.model_fields}
)
# Codes of others, who may have new ones before we have words for them.
OPEN_GROUPS = (
    "kind.", "withdrawal.", "disease.", "basis.", "engine.", "case_reason.", "case_act.",
    "problem.", "field.query", "syndrome.",
)  # fmt: skip


def _written() -> set[str]:
    """Whole keys in templates and code."""
    texts = [path.read_text(encoding="utf-8") for path in (FOLDER / "templates").glob("*.html")]
    found = {key for text in texts for key in re.findall(r"""\bt\(["']([a-z_.]+)["']""", text)}
    code = [path.read_text(encoding="utf-8") for path in FOLDER.parent.rglob("*.py")]
    found |= {key for text in code for key in re.findall(r'"(act\.[a-z_]+)"', text)}
    found |= {key for text in code for key in re.findall(r'_words\("([a-z_.]+)"\)', text)}
    return {key for key in found if not key.endswith(".")}


def test_both_catalogues_have_the_same_keys_and_no_blank() -> None:
    catalogues = {language: words_in(language).texts for language in LANGUAGES}
    assert set(catalogues["zh"]) == set(catalogues["en"])
    for texts in catalogues.values():
        assert [key for key, text in texts.items() if not str(text).strip()] == []


def test_both_languages_take_the_same_values() -> None:
    fields = [
        {
            key: {name for _, name, _, _ in Formatter().parse(text) if name}
            for key, text in words_in(language).texts.items()
        }
        for language in LANGUAGES
    ]
    assert fields[0] == fields[1]


def test_every_word_that_the_page_asks_for_exists_and_none_is_left_over() -> None:
    known = {key for key in words_in("zh").texts if not key.startswith(OPEN_GROUPS)}
    assert known == _written() | BUILT


def test_chinese_words_are_chinese() -> None:
    marks = {"list.separator"}
    texts = words_in("zh").texts
    assert [
        key
        for key, text in texts.items()
        if key not in marks and not re.search(r"[\u4e00-\u9fff]", text)
    ] == []


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("", "zh"),
        ("en-GB,en;q=0.9", "en"),
        ("fr, zh-TW;q=0.5, en;q=0.4", "zh"),
        ("zh;q=0.1,en;q=broken", "zh"),
        ("de", "zh"),
    ],
)
def test_a_browser_gets_the_first_of_its_languages_that_we_speak(asked: str, language: str) -> None:
    assert preferred(asked) == language
