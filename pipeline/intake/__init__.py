"""The front door, pure: bytes → valid, redacted, fingerprinted events → frames; bad input → rejections with a reason.

`read_batch` validates and fingerprints, `Framer` frames and keeps the positions that say what may be committed; `read_control`
and `ControlFramer` do the same for people's decisions.
"""

from pipeline.intake.batch import Batch, read_batch
from pipeline.intake.control import ControlFramer, read_control
from pipeline.intake.framing import FrameOut, Framer, FramingConfig
from pipeline.intake.markers import REASONING, Marker
from pipeline.intake.scripts import Script
from pipeline.intake.validate import Limits, Rejection

__all__ = [
    "REASONING", "Batch", "ControlFramer", "FrameOut", "Framer", "FramingConfig", "Limits", "Marker", "Rejection", "Script", "read_batch",
    "read_control",
]  # fmt: skip
