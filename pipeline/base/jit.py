"""One decorator for every numba kernel: typed, deterministic (no fastmath, no parallel), cached where that is safe.

The cache is code that is loaded and run, so it must lie where only the owner of the installation writes: inside the
environment (`sys.prefix`). Where that is read-only (a container), a process works on a copy of its own; where it is
read-only and empty, kernels compile at start instead.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")
COMPILING = "compiling, as the first run after an installation does: most of a minute"
"""What somebody who waits is told where nothing is `compiled`."""


def _sources() -> str:
    """Names everything that is compiled: numba looks at a kernel's own file only, not at the helpers that it inlines."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.parent.rglob("*.py")):
        data = file.read_bytes()
        if b"base.jit import" in data:
            digest.update(data)
    return digest.hexdigest()[:12]


_CACHE_DIR = Path(sys.prefix) / "var" / "stillwatch" / "kernels" / _sources()


def _cache_usable() -> bool:
    if os.environ.get("NUMBA_CACHE_DIR"):
        return True
    if sys.prefix == sys.base_prefix:  # no virtual environment: do not write into a system installation
        return False
    try:
        cache = _writable_cache()
    except OSError:
        return False
    if cache is None:
        return False
    os.environ["NUMBA_CACHE_DIR"] = str(cache)  # child processes
    numba.config.reload_config()  # type: ignore[no-untyped-call]
    return True


def _writable_cache() -> Path | None:
    """The installation's cache; where it is read-only, a copy that only this user enters, removed at exit.

    numba refuses to load from a cache that it cannot write to.
    """
    try:
        _CACHE_DIR.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=_CACHE_DIR).close()
    except OSError:
        compiled = list(_CACHE_DIR.rglob("*.nb[ic]"))
    else:
        return _CACHE_DIR
    if not compiled:
        return None
    copy = Path(tempfile.mkdtemp(prefix="stillwatch-kernels-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    for file in compiled:
        target = copy / file.relative_to(_CACHE_DIR)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return copy


_CACHE = _cache_usable()


def compiled() -> bool:
    """Whether an earlier run left kernels to load, so that a start takes a second instead of most of a minute."""
    return _CACHE and any(Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nbi"))


def kernel(fn: F) -> F:
    """Compile `fn` with numba: nopython, no fastmath, GIL released, bounds unchecked.

    Not promised: argument checks. A kernel trusts its caller for shapes and dtypes.
    """
    return cast("F", numba.njit(cache=_CACHE, fastmath=False, nogil=True)(fn))


def inline(fn: F) -> F:
    """Compile a helper that kernels call; not cached on its own, inlined by LLVM where that pays."""
    return cast("F", numba.njit(fastmath=False, nogil=True)(fn))
