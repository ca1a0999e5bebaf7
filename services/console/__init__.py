"""Console: the page on the wall of the command post.

Hears: areas, for their names and time zones; everything else it asks the owners over HTTP with
the viewer's own session, so that each owner keeps to the viewer's areas.
Decides: nothing about persons or places; only who signs in here, and whether shown counters add up.
Says: pages for people, in Chinese and English, and passes the alert stream on to browsers.
"""
