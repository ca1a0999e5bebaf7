"""From single facts to counts that can be compared: who spoke, how many, measured against what."""
