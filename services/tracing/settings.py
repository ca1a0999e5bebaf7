"""Tracing has no settings of its own: its thresholds are policies, the rest stands in `shared`."""
