"""Load, decide, save, announce: one transaction each."""
