"""Quarantine: who must stay where until when, and who did not.

Hears cases and contacts (tracing), scans, persons and areas (intake), and its own policies.
Decides orders of quarantine and isolation, the check-ins that they owe, and breaches.
Says `OrderChanged`, `CheckChanged` and `BreachChanged`.
"""
