"""Detectors: pure functions of counts, batched over series. What equals what: docs/detectors.md."""
