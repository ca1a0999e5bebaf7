"""Settings that only alerts reads: none. What its rules need is data in `presets/`."""

from __future__ import annotations
