"""HL7 v2: ER7 messages, character sets, MLLP framing, acknowledgements, listener and client."""
