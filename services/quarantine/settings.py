"""Quarantine has no setting of its own: periods, times and measures are policy, never settings."""
