"""The rules of quarantine: pure functions of facts. No input or output, no clock."""
