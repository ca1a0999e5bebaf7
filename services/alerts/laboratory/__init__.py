"""The laboratory: what detectors and rules would have found, missed and falsely cried. It runs the
live path's own pure functions and is imported by commands and tests alone. See docs/laboratory.md.
"""
