"""Words of the page in one language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LANGUAGES = {"zh": "中文", "en": "English"}


@dataclass(frozen=True, slots=True)
class Words:
    """A catalogue; `language` is also the page's `lang`."""

    language: str
    texts: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The text of `key` with its values; KeyError where the catalogue has none."""
        return self.texts[key].format_map(values) if values else self.texts[key]

    def open(self, group: str, code: str) -> str:
        """The word for a code of an open list; the code itself where nobody has named it yet."""
        return self.texts.get(f"{group}.{code}", code)


def preferred(accept_language: str) -> str:
    """The first of our languages that a browser asks for; Chinese where it asks for none."""
    ranked = []
    for position, part in enumerate(accept_language.split(",")):
        tag, _, quality = part.strip().partition(";q=")
        primary = tag.split("-")[0].lower()
        if primary in LANGUAGES:
            ranked.append((-_number(quality), position, primary))
    return min(ranked)[2] if ranked else "zh"


def _number(quality: str) -> float:
    try:
        return float(quality) if quality else 1.0
    except ValueError:
        return 0.0
