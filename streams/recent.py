"""What was computed lately of units, in memory, so that it can go on from there: a cache, and never more than that.

All of it stands for what is committed. It is dropped whenever a transaction did not commit, or another may have
written; a miss reads the store and computes the whole, so figures never depend on what is here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Generic, Protocol, TypeVar

from processing.equipment import Intervals
from processing.growing import Growing
from processing.unit_day import GrowingDay
from storage.district import InForce
from streams.cores import Dated


class Sized(Protocol):
    """What knows how much memory it takes."""

    @property
    def nbytes(self) -> int:
        """Bytes, about."""


@dataclass(slots=True)
class KeptTrack:
    """A unit's last track, by which core, and the time of the unit's newest report."""

    newest_us: int
    dated: Dated
    growing: Growing

    @property
    def nbytes(self) -> int:
        """Bytes, about."""
        return self.growing.nbytes


@dataclass(slots=True)
class KeptDay:
    """A unit's service day, by which core, how many hours of it are written, and the time of its newest report."""

    newest_us: int
    dated: Dated
    day: GrowingDay
    intervals: Intervals
    hours: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes, about."""
        return self.day.nbytes + self.intervals.nbytes


K = TypeVar("K")
V = TypeVar("V", bound=Sized)


class Bounded(Generic[K, V]):
    """Values of up to so many bytes together; what was not used for longest goes first."""

    def __init__(self, bytes_max: int) -> None:
        self.nbytes = 0
        self._bytes_max = bytes_max
        self._entries: OrderedDict[K, tuple[int, V]] = OrderedDict()

    def pop(self, key: K) -> V | None:
        """Take a value out: whoever changes it puts it back when it is whole again."""
        nbytes, value = self._entries.pop(key, (0, None))
        self.nbytes -= nbytes
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value."""
        self.pop(key)
        self._entries[key] = value.nbytes, value
        self.nbytes += self._entries[key][0]
        while self.nbytes > self._bytes_max:
            _, (nbytes, _) = self._entries.popitem(last=False)
            self.nbytes -= nbytes

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.nbytes = 0


class Recent:
    """The last tracks and days of units."""

    def __init__(self, track_bytes_max: int = 512 << 20, day_bytes_max: int = 128 << 20) -> None:
        self.tracks: Bounded[str, KeptTrack] = Bounded(track_bytes_max)
        self.days: Bounded[tuple[str, date], KeptDay] = Bounded(day_bytes_max)
        self._timeline: list[InForce] = []

    def stand_for(self, timeline: Sequence[InForce]) -> None:
        """Forget everything where what is in force is no longer that: days may have been computed again by it."""
        if list(timeline) != self._timeline:
            self.clear()
            self._timeline = list(timeline)

    def clear(self) -> None:
        """Forget everything."""
        self.tracks.clear()
        self.days.clear()
