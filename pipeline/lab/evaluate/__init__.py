"""The instrument that promises are judged by: workloads with permanent ids, counting rules, baselines, an oracle, a report.

How to read it, and what it does not show: `docs/evaluation.md`. Method: `DETECTION.md` 7.
"""

from pipeline.lab.evaluate.closing import ablation_closing, closing, windows_closing
from pipeline.lab.evaluate.page import page
from pipeline.lab.evaluate.protocol import WindowOrder, windows
from pipeline.lab.evaluate.report import encode_figures
from pipeline.lab.evaluate.run import Order
from pipeline.lab.evaluate.split import Split
from pipeline.lab.evaluate.suite import play, play_ablation, read_run, record
from pipeline.lab.evaluate.workloads import JUDGE_SUITE, WORKLOADS

__all__ = [
    "JUDGE_SUITE",
    "WORKLOADS",
    "Order",
    "Split",
    "WindowOrder",
    "ablation_closing",
    "closing",
    "encode_figures",
    "page",
    "play",
    "play_ablation",
    "read_run",
    "record",
    "windows",
    "windows_closing",
]
