"""Reports that were committed lately, in memory: a cache, and never more than that.

An entry holds all of a unit's reports from some instant on. It is dropped whenever a transaction did not
commit, and a miss reads the store, so figures never depend on what is here.
"""

from __future__ import annotations

from collections import OrderedDict

from processing.fix import ReportColumns


class Recent:
    """The last reports of units, bounded in units (least recently used go first) and in rows of each."""

    def __init__(self, units_max: int = 2_000, rows_max: int = 50_000) -> None:
        self._units_max = units_max
        self._rows_max = rows_max
        self._entries: OrderedDict[str, tuple[int, ReportColumns]] = OrderedDict()

    def get(self, unit_id: str, from_us: int) -> ReportColumns | None:
        """All committed reports of the unit with fix_time >= from_us, or None where that isn't known."""
        entry = self._entries.get(unit_id)
        if entry is None or entry[0] > from_us:
            return None
        self._entries.move_to_end(unit_id)
        return entry[1].between(from_us, 2**62)

    def put(self, unit_id: str, from_us: int, reports: ReportColumns | None) -> None:
        """Keep all the unit's reports from `from_us` on; None, or too many, forgets the unit."""
        self._entries.pop(unit_id, None)
        if reports is None or len(reports) > self._rows_max:
            return
        self._entries[unit_id] = (from_us, reports)
        while len(self._entries) > self._units_max:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
