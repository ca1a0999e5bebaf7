"""Tracing's HTTP door."""

from __future__ import annotations

from services.tracing.api.cases import door as cases
from services.tracing.api.links import door as links
from services.tracing.api.questions import door as questions

ROUTERS = (cases, links, questions)
