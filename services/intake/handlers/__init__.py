"""One function per command, event or message: load, decide, save, announce, in one transaction."""
