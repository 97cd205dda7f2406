"""How much memory a process and all its descendants use, from Linux's /proc; nothing elsewhere.

The proportional set size shares a page among those who map it, so PostgreSQL's shared buffers and the
libraries of five Pythons are counted once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
PROCESSES_MAX = 1_000


def family(pid: int) -> list[int]:
    """The process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        if entry.name.isdigit() and (parent := _parent(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:  # grows while it is walked
        if len(found) < PROCESSES_MAX:
            found.extend(children.get(one, ()))
    return found


def memory_mib(pid: int) -> float:
    """MiB of the process and its descendants together, 0 where the system doesn't tell."""
    return sum(map(_kib, family(pid))) / 1024


def _parent(entry: Path) -> int | None:
    try:
        # The name of the program stands in brackets and may hold anything, even brackets.
        return int(
            (entry / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[1]
        )
    except (OSError, IndexError, ValueError):
        return None


def _kib(pid: int) -> int:
    for file, key in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        for line in _lines(PROC / str(pid) / file):
            if line.startswith(key):
                return int(line.split()[1])
    return 0


def _lines(path: Path) -> Iterator[str]:
    try:
        yield from path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return
