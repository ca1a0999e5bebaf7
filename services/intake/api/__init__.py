"""The HTTP door of intake, one noun per file."""

from __future__ import annotations

from services.intake.api.areas import door as areas
from services.intake.api.balance import door as balance
from services.intake.api.hl7v2 import door as hl7v2
from services.intake.api.lists import door as lists
from services.intake.api.messages import door as messages
from services.intake.api.persons import door as persons
from services.intake.api.places import door as places
from services.intake.api.rows import door as rows
from services.intake.api.sources import door as sources

ROUTERS = (rows, hl7v2, lists, messages, sources, places, persons, areas, balance)
