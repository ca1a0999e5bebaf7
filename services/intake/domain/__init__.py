"""The rules of intake: pure functions and dataclasses."""
