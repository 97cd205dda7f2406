"""What a load does to the processes that carry it: their CPU and memory, the log's lag, and when a fix is seen."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

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

    def expect(
        self, first_us: NDArray[np.int64], every_us: int, sent_s: NDArray[np.float64], every_s: float
    ) -> None:
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
            with (
                psycopg.connect(self._url, autocommit=True) as listener,
                psycopg.connect(self._url, autocommit=True) as reader,
            ):
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


@dataclass(slots=True)
class Gauges:
    """CPU, memory and lag over time; times are seconds since the start."""

    lag: list[tuple[float, int]] = field(default_factory=list)
    memory_mib: list[tuple[float, dict[str, float]]] = field(default_factory=list)


class Meter:
    """Looks at processes and at the lag, every few seconds, in a thread of its own."""

    def __init__(
        self, pids: Mapping[str, Callable[[], int | None]], lag: Callable[[], int], check: Callable[[], None]
    ) -> None:
        self._pids, self._lag, self._check = pids, lag, check
        self.gauges = Gauges()
        self._begun_s = time.monotonic()
        self._ended = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)
        self._thread.start()

    def stop(self) -> Gauges:
        """What was seen."""
        self._ended.set()
        self._thread.join()
        if self._fault is not None:
            raise self._fault
        return self.gauges

    def _run(self) -> None:
        try:
            memory_s = -MEMORY_EVERY_S
            while not self._ended.wait(LAG_EVERY_S):
                self._check()
                now_s = time.monotonic() - self._begun_s
                self.gauges.lag.append((round(now_s, 1), self._lag()))
                if now_s - memory_s >= MEMORY_EVERY_S:
                    memory_s = now_s
                    found = {name: memory_mib(pid) for name, get in self._pids.items() if (pid := get())}
                    self.gauges.memory_mib.append((round(now_s, 1), found))
        except BaseException as fault:  # noqa: BLE001 - raised when it is stopped
            self._fault = fault


def cpu_s(pids: Mapping[str, Callable[[], int | None]]) -> dict[str, float]:
    """CPU seconds of each process since it began, with those of its children, also of those that ended."""
    found = {}
    for name, get in pids.items():
        pid = get()
        if pid is not None:
            own = psutil.Process(pid)
            times = [own.cpu_times()]
            for child in own.children(recursive=True):
                with suppress(psutil.NoSuchProcess):  # its seconds are then among its parent's
                    times.append(child.cpu_times())
            found[name] = float(sum(sum(one[:4]) for one in times))
    return found


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line through what was measured: where it begins, its slope an hour, and how sure that is."""

    first: float
    last: float
    per_hour: float | None
    per_hour_bound: float | None

    def told(self, unit: str, per: float = 1.0) -> str:
        """The slope as a person reads it, in units of so many hours."""
        if self.per_hour is None or self.per_hour_bound is None:
            return "too short to tell a slope"
        return f"{self.per_hour * per:+,.1f} ± {self.per_hour_bound * per:,.1f} {unit}"

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]]) -> Slope:
        """The least squares' line; the bound is twice the slope's standard error, of points taken as one in four."""
        at_s, value = np.array(points, np.float64).T
        if len(at_s) < 4:
            return cls(float(value[0]), float(value[-1]), None, None)
        slope, begin = np.polyfit(at_s, value, 1)
        left = value - (slope * at_s + begin)
        spread = float(((at_s - at_s.mean()) ** 2).sum())
        error = math.sqrt(4.0 * float((left**2).sum()) / (len(at_s) - 2) / spread)
        return cls(
            round(float(begin + slope * at_s[0]), 1),
            round(float(begin + slope * at_s[-1]), 1),
            round(3_600.0 * float(slope), 1),
            round(7_200.0 * error, 1),
        )
