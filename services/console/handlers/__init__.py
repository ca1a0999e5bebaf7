"""What the console does: keep area names, put a page together, pass acts and the stream on."""
