"""Tracing's HTTP door."""

from __future__ import annotations

from services.tracing.api.cases import door as cases
from services.tracing.api.links import door as links

ROUTERS = (cases, links)
