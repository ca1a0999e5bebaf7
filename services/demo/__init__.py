"""The generated town: a small county, its week, one outbreak, and what must come of it.

`town.py`, `cast.py`, `week.py` and `outbreak.py` invent; `truth.py` works out from the plan and
from the figures of the presets what has to be found; `play.py` lets the services find it;
`balance.py` compares.
"""
