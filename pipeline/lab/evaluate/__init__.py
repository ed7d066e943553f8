"""The instrument that promises are judged by: workloads with permanent ids, counting rules, baselines, an oracle, a report.

How to read it, and what it does not show: `docs/evaluation.md`. Method: `DETECTION.md` 7.
"""
