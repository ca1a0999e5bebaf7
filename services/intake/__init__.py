"""Intake: every door of facts.

Decides: who a reference means, what an arrived row or message is worth (stored, duplicate,
rejected), the verdict at a checkpoint, and how a visit or a specimen reads after all its messages.
Hears: orders and cases, to answer checkpoints from its own copy.
Says: persons, places, areas, scans, encounters, reports, results, declared cases, links and groups.
"""
