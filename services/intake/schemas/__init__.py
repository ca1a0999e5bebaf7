"""Shapes of requests and answers at intake's HTTP door."""
