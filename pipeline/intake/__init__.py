"""Bytes to valid, redacted, fingerprinted events, and events to frames. Prompt text ends here."""
