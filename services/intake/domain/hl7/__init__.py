"""HL7 version 2: reading, judging and answering messages. Pure: bytes in, facts out."""
