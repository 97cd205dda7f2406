"""Bad disks and wrong clocks for a process that we start: `shim.c`, compiled and loaded before libc.

The process knows nothing of it and needs no rights. What it can't do: files that are written through a memory
map (Kafka's indexes) keep a good disk, and whoever makes system calls without libc (Go) isn't reached.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
LAYOUT = struct.Struct("=qqq")


def missing() -> str | None:
    """What must be installed, or None."""
    return None if shutil.which("cc") else "a C compiler (Debian: gcc)"


def build(folder: Path) -> Path:
    """The library, compiled into the folder; who runs PostgreSQL may be another user and must reach it."""
    library = folder / "shim.so"
    command = ["cc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    library.chmod(0o755)
    return library


class Shim:
    """What is wrong with the disk and the clock of the processes that have this environment."""

    def __init__(self, library: Path, file: Path) -> None:
        file.write_bytes(LAYOUT.pack(0, 0, 0))
        file.chmod(0o644)
        self.environment = {"LD_PRELOAD": str(library), "CHAOS_SHIM": str(file)}
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), LAYOUT.size)
        self.good()

    def set(self, *, full: bool = False, delay_s: float = 0.0, clock_s: float = 0.0) -> None:
        """No more bytes fit; each write and flush takes so much longer; the wall clock is so far ahead."""
        self._map[:] = LAYOUT.pack(int(full), round(delay_s * 1e6), round(clock_s * 1e6))

    def good(self) -> None:
        """Nothing is wrong any more."""
        self.set()

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()
