"""The HTTP door: request, command, answer."""
