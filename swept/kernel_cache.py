"""Where compiled kernels are kept: a folder for each state of the core's sources.

Numba compares a cached kernel with its own file alone, not with the kernels it calls from other files; after
an update a stale one would go on giving yesterday's figures. So the cache's name holds a digest over all of
`processing/`, and this must run before numba is imported.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

#: Caches of other states that are kept; each is some megabytes.
OTHERS_MAX = 3


def use_own_cache() -> Path:
    """Point numba to the cache of these sources, and remove all but the newest of the others."""
    sources = Path(__file__).resolve().parent.parent / "processing"
    digest = hashlib.sha256()
    for source in sorted(sources.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    folder = cache_home() / f"kernels-{digest.hexdigest()[:16]}"
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        others = [path for path in cache_home().glob("kernels-*") if path != folder]
        others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for old in others[OTHERS_MAX:]:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def cache_home() -> Path:
    """The user's cache folder, or where that can't be written a temporary one of the user's own."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "swept"
    try:
        base.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        base = Path(tempfile.gettempdir()) / f"swept-cache-{os.getuid()}"
        base.mkdir(mode=0o700, exist_ok=True)
    return base if os.access(base, os.W_OK) else Path(tempfile.mkdtemp(prefix="swept-cache-"))
