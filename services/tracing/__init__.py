"""Tracing: who is a case, when a case was infectious, who was exposed to it, and why we say so.

Hears: places, areas, persons, scans, encounters, memberships, links, laboratory results, declared
cases (intake) and orders (quarantine). Decides: cases, their infectious windows, close contacts and
contacts of contacts, and, within a second of a scan, who is or was where a case was. Says:
`outpost.tracing.case.changed`, `outpost.tracing.contact.changed`,
`outpost.tracing.co_location.changed`.
"""
