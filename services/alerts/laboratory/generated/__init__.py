"""A seeded city: people, points, ordinary illness, reporting with its flaws, and outbreaks of known
truth. Every number stands in `city.yaml` with its source.
"""
