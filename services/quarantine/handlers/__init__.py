"""One function per event, timer, command or due key: load, decide, save, announce."""
