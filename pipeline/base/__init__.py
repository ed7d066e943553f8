"""What everything stands on: errors, settings, stable hashing, kernels, the catalogue of names."""
