"""Alerts: many points, one warning.

Hears: reports, scans, laboratory results, cases, co-locations, breaches, places, persons,
households, areas.
Decides: which facts are signals; how many are more than expected; where points that light up on
different persons and households, close in event time and in one area, make people act (an alert);
what would have kept it silent; when it ends by itself or must be withdrawn. Says:
`alerts.signal.v1` and `alerts.alert.v1`, and the alert stream to people (server-sent events) with a
ledger.
"""
