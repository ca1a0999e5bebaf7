"""One question of every kind to a city, so that every loop is compiled before anybody waits."""

from __future__ import annotations

import numpy as np

from services.tracing.domain.city.city import City
from services.tracing.domain.city.numbers import ids_of
from services.tracing.domain.city.question import Linked, Sources, ask
from services.tracing.domain.city.telling import tell_page
from services.tracing.domain.city.times import DAY, day_start
from services.tracing.domain.exposure import ExposureRule, StayRule

EVERYTHING = ExposureRule({}, StayRule(0, 60), {}, StayRule(0), 1, links_count=True)


def ask_anything(city: City) -> None:
    """The answer does not matter."""
    if not city.persons:
        return
    person = np.zeros(1, dtype=np.int32)
    began = np.array([day_start(city.first_day)], dtype=np.int64)
    sources = Sources(person, began, began + 100 * DAY)
    found = ask(city, sources, EVERYTHING, links=Linked(person, person, began))
    tell_page(found, found.in_order(0, 1))
    city.ids.persons.find(ids_of([city.ids.persons.id_of(0)]))
