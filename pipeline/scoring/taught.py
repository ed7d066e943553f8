"""The taught ensembles that the package ships: `python -m pipeline.lab.teach` writes the file, nothing else changes it.

Three of them: CHANGE (does this block hold requests of an attack, seen beside the account's usual), LEVEL (does a life that
looks like this), and KIND (which; a softmax over one per kind). They are arrays in an `.npz` without pickles.
"""

from __future__ import annotations

import functools
import io
import zipfile
import zlib
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.errors import CodecError
from pipeline.scoring.inputs import CHANGE_NAMES, KIND_NAMES, LEVEL_NAMES
from pipeline.scoring.kinds import KINDS
from pipeline.scoring.trees import FIELDS, Trees, log_odds

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = "taught.npz"
_NAMES = {"change": CHANGE_NAMES, "level": LEVEL_NAMES} | {kind.value: KIND_NAMES for kind in KINDS}


class Taught(NamedTuple):
    """The ensembles in memory."""

    change: Trees
    level: Trees
    kinds: tuple[Trees, ...]

    def name(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows [m, inputs] of `kind_inputs` → log-probability of each kind [m, kinds], given that it is an attack."""
        scores = np.stack([log_odds(trees, rows) for trees in self.kinds], axis=1)
        top = scores.max(axis=1, keepdims=True)
        total: NDArray[np.float64] = scores - top - np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
        return total


def write_taught(taught: Taught) -> bytes:
    """Bytes of a file that `read_taught` reads."""
    ensembles = dict(zip(_NAMES, (taught.change, taught.level, *taught.kinds), strict=True))
    arrays = {f"{name}.{field}": np.asarray(getattr(trees, field)) for name, trees in ensembles.items() for field in FIELDS}
    names = {f"{name}.names": np.array(inputs) for name, inputs in _NAMES.items()}
    out = io.BytesIO()
    np.savez_compressed(out, **{**arrays, **names})  # type: ignore[arg-type]  # numpy types keywords as its flags
    return out.getvalue()


def read_taught(data: bytes) -> Taught:
    """The ensembles in a file's bytes.

    Raises:
        CodecError: it is not one, or was taught on other features than this program computes.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            for name, inputs in _NAMES.items():
                if tuple(found[f"{name}.names"].tolist()) != inputs:
                    raise CodecError(f"{FILE}: {name} was taught on other features", next_step="python -m pipeline.lab.teach")
            change, level, *kinds = (
                Trees(float(found[f"{name}.base"]), *(found[f"{name}.{field}"] for field in FIELDS[1:])) for name in _NAMES
            )
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as err:
        raise CodecError(f"{FILE}: not a file of taught ensembles: {err}") from None
    return Taught(change, level, tuple(kinds))


@functools.cache
def shipped_taught() -> Taught:
    """The ensembles inside the package."""
    return read_taught(files(__package__).joinpath(FILE).read_bytes())
