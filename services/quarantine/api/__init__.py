"""The HTTP door: request to command to answer. No rule, no SQL."""
