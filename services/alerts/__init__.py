"""Alerts: many points, one warning.

Hears: reports, fever scans, laboratory results, cases, co-locations, breaches, places, persons,
areas.
Decides: which facts are signals; where signals of different points and persons, close in event time
and in one area, make people act (an alert); what would have kept it silent; when it must be
withdrawn. Says: `alerts.signal.v1` and `alerts.alert.v1`, and the alert stream to people
(server-sent events) with a ledger.
"""
