"""What a load does to the processes that carry it: their CPU and memory, the log's lag, and when a fix is seen."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil
import psycopg
from numpy.typing import NDArray

from swept.memory import memory_mib

#: A reader looks as often as this even where nobody tells it of a commit.
LOOK_S_MAX = 0.25
LAG_EVERY_S = 1.0
MEMORY_EVERY_S = 5.0
_NEWEST = """
    SELECT (SELECT max(fix_time_us) FROM fix WHERE fix.unit_id = wanted.unit_id AND kind = 0)
    FROM unnest(%s::text[]) WITH ORDINALITY AS wanted (unit_id, number) ORDER BY number
"""


class Seen:
    """A reader of the store: of each message of some units it notes when its last fix was seen, and when it was sent.

    It is told of commits as the API is, and then asks for the newest fix of each of its units.
    """

    def __init__(self, store_url: str, units: Sequence[str]) -> None:
        self._url, self._units = store_url, list(units)
        self._lock = threading.Lock()
        self._newest = np.zeros(len(units), np.int64)
        self._expected: tuple[NDArray[np.int64], NDArray[np.float64], float, int] | None = None
        self._latencies: list[tuple[float, float]] = []
        self._ended = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self.native_id: int | None = None

    def expect(self, first_us: NDArray[np.int64], every_us: int, sent_s: NDArray[np.float64], every_s: float) -> None:
        """From now on the units send at these moments, each of them again and again: fix times and the wall clock's."""
        with self._lock:
            self._first_us, self._every_us = first_us, every_us
            self._sent_s, self._every_s = sent_s, every_s
            self._newest = first_us - every_us
            self._latencies.clear()
            self._expected = first_us, sent_s, every_s, every_us

    def latencies(self) -> NDArray[np.float64]:
        """(n, 2) when each message was sent, seconds after the first, and how many seconds later it was seen."""
        if self._fault is not None:
            raise self._fault
        with self._lock:
            return np.array(self._latencies, dtype=np.float64).reshape(-1, 2)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self.native_id = threading.get_native_id()
            with psycopg.connect(self._url, autocommit=True) as listener, psycopg.connect(
                self._url, autocommit=True
            ) as reader:
                listener.execute("LISTEN swept_commit")
                while not self._ended.is_set():
                    for _ in listener.notifies(timeout=LOOK_S_MAX, stop_after=1):
                        pass
                    rows = reader.execute(_NEWEST, (self._units,)).fetchall()
                    self._note(np.array([row[0] or 0 for row in rows], np.int64), time.time())
        except BaseException as fault:  # noqa: BLE001 - raised to whoever asks for latencies
            self._fault = fault

    def _note(self, newest_us: NDArray[np.int64], now_s: float) -> None:
        with self._lock:
            if self._expected is None:
                return
            first_us, sent_s, every_s, every_us = self._expected
            begun_s = float(sent_s.min())
            for unit in np.flatnonzero(newest_us > self._newest):
                seen = range(
                    int(max(0, (self._newest[unit] - first_us[unit]) // every_us + 1)),
                    int((newest_us[unit] - first_us[unit]) // every_us + 1),
                )
                for number in seen:
                    at_s = sent_s[unit] + number * every_s
                    self._latencies.append((at_s - begun_s, now_s - at_s))
                self._newest[unit] = newest_us[unit]
