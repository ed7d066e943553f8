"""The processes: ingest, detect, deliver; lifecycle, health, watchdog."""
