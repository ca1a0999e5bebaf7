"""What Outpost can carry: the measurements of the README, each beside a baseline of the same run.

`python -m bench` measures everything, `python -m bench --only scans --seconds 20` one part.
"""
