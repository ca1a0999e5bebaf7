"""What the page shows, as values: alerts, signals, counters, words, times. And the throttle."""
