"""From commit to effect: outbox and relay, consumer loop and inbox, due work, timers, dead
letters.
"""
