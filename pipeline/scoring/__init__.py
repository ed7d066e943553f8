"""From scores to decisions: calibrate, accumulate, combine, policy, explain."""
