"""The services of Outpost. They never import one another; the event log stands between them."""
