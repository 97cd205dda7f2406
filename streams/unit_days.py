"""What units did on their service days, from new reports, inside a batch's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
from psycopg import Connection

from processing.equipment import EquipmentInterval, Intervals
from processing.fix import Kind, ReportColumns
from processing.service_day import US
from processing.unit_day import GrowingDay
from storage import reader, writer
from storage.reader import Window
from storage.writer import DayRows
from streams.cores import Cores
from streams.days import Days
from streams.recent import KeptDay, Recent
from streams.restate import UNITS_READ_MAX, CoreFailed, Touched

Key = tuple[str, date]


class UnitDays:
    """Step 6: unit-days, their hours, and equipment intervals.

    A day that only grew goes on from what is kept of it, and only what changed is written.
    """

    def __init__(self, cores: Cores, recent: Recent) -> None:
        self._cores = cores
        self._days = Days(cores.first.core.district.rules)
        self._recent = recent
        self._hold_us = int(cores.first.core.district.rules.equipment_hold_s_max * US)

    def restate(
        self, connection: Connection[Any], new: Mapping[str, ReportColumns], touched: Touched
    ) -> None:
        """Bring the days of new reports up to date."""
        rows: list[DayRows] = []
        missed: list[Key] = []
        for unit_id, reports in new.items():
            for day in self._days_of(reports):
                touched.days.add(day)
                grown = self._grown(connection, (unit_id, day), reports)
                if grown is None:
                    missed.append((unit_id, day))
                else:
                    rows.append(grown)
        for low in range(0, len(missed), UNITS_READ_MAX):
            some = missed[low : low + UNITS_READ_MAX]
            windows = [
                Window(
                    unit_id,
                    self._days.start_us(day) - self._hold_us,
                    self._days.start_us(day + timedelta(days=1)),
                )
                for unit_id, day in some
            ]
            for key, reports in zip(some, reader.reports(connection, windows), strict=True):
                rows.append(self._whole(connection, key, reports))
        writer.unit_days(connection, rows, self._cores.first.versions)

    def _grown(self, connection: Connection[Any], key: Key, new: ReportColumns) -> DayRows | None:
        """A day that goes on with these reports; None where that isn't known."""
        kept = self._recent.days.pop(key)
        if kept is None or kept.dated is not self._cores.at(connection, key[1]):
            return None
        mine = new.between(kept.day.start_us - self._hold_us, kept.day.end_us)
        if len(mine) and int(mine.fix_time_us[0]) <= kept.newest_us:
            return None
        return self._taken(key, kept, mine, whole=False)

    def _whole(self, connection: Connection[Any], key: Key, reports: ReportColumns) -> DayRows:
        """A day from all of its reports, and of those before it from which a status may still hold."""
        unit_id, day = key
        dated = self._cores.at(connection, day)
        core = self._cores.knowing(dated, unit_id)
        growing = GrowingDay(core.units[unit_id], day, core.rules)
        kept = KeptDay(-(2**62), dated, growing, Intervals(unit_id, core.rules))
        return self._taken(key, kept, reports, whole=True)

    def _taken(self, key: Key, kept: KeptDay, reports: ReportColumns, *, whole: bool) -> DayRows:
        """What changes by these reports, all newer than those before."""
        try:
            figures = kept.day.take(reports)
            intervals = kept.intervals.take(reports)
        except Exception as error:
            raise CoreFailed(f"the day {key[1]} of unit {key[0]} failed: {error!r}") from error
        hours = figures.hours[max(0, kept.hours - 1) :] if figures else ()
        if len(reports):
            kept.newest_us = int(reports.fix_time_us[-1])
        kept.hours = len(figures.hours) if figures else 0
        self._recent.days.put(key, kept)
        return DayRows(*key, figures, hours, tuple(_clipped(intervals, kept.day.start_us)), whole)

    def _days_of(self, new: ReportColumns) -> list[date]:
        """The service days of new reports, and of the time that a status among them holds."""
        held_us = new.fix_time_us[new.kind == Kind.EQUIPMENT] + self._hold_us
        moments_us = np.sort(np.concatenate([new.fix_time_us, held_us])) if len(held_us) else new.fix_time_us
        found: list[date] = []
        at = 0
        while at < len(moments_us):
            found.append(self._days.of(int(moments_us[at])))
            at = int(np.searchsorted(moments_us, self._days.start_us(found[-1] + timedelta(days=1))))
        return found


def _clipped(intervals: Sequence[EquipmentInterval], start_us: int) -> Iterable[EquipmentInterval]:
    """What of these lies in the service day."""
    for one in intervals:
        if one.to_us > start_us:
            yield one if one.from_us >= start_us else replace(one, from_us=start_us)
