"""Waiting for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable


def within(wait_s: float, condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true in time."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False
