"""The console has no setting of its own: where the others are stands in `shared/settings.py`."""
