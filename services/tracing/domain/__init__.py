"""Rules of tracing: no input or output, no clock. The rule of exposure in words: `exposure.py`."""
