"""Every settings class of the code, found by import, and the environment variables it reads."""

from __future__ import annotations

import importlib
import inspect
import re

from pydantic_settings import BaseSettings

from tests.tidy.tree import ROOT, SERVICES, Source


def settings_classes(*owners: str) -> list[type[BaseSettings]]:
    """The classes of `shared.settings` and `services.<owner>.settings`, each once."""
    found: dict[type[BaseSettings], None] = {}
    for owner in owners:
        name = "shared.settings" if owner == "shared" else f"services.{owner}.settings"
        for _, value in inspect.getmembers(importlib.import_module(name), inspect.isclass):
            if issubclass(value, BaseSettings) and value is not BaseSettings:
                found[value] = None
    return list(found)


def environment_names(*owners: str, required_only: bool = False) -> set[str]:
    """The environment variables of these owners' settings; without owners, everybody's."""
    names: set[str] = set()
    for settings in settings_classes(*(owners or ("shared", *SERVICES))):
        prefix = settings.model_config.get("env_prefix", "")
        for name, field in settings.model_fields.items():
            if required_only and not field.is_required():
                continue
            alias = field.validation_alias or field.alias
            names.add(alias if isinstance(alias, str) else f"{prefix}{name}".upper())
    return names


def literal_names(path: str) -> set[str]:
    """`OUTPOST_…` names that a file reads by hand, its docstrings not counted."""
    source = Source(path, (ROOT / path).read_text(encoding="utf-8"))
    return {
        str(node.value)
        for node in source.strings()
        if re.fullmatch(r"OUTPOST_[A-Z0-9_]+", str(node.value))
    }
