"""Benchmarks with permanent ids: fresh processes, time and memory, JSON that diffs clean."""
