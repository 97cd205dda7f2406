"""Service days computed again from the reports in the store, beside workers that go on.

Each unit's day is a transaction of its own that holds the unit's partition, so that a worker waits some
milliseconds and no more; then the day's figures are restated in one. What is computed by the versions in force
already stays. Killed in between, it leaves whole days on either side and one of which figures lag behind passes;
run again, it goes on with that day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from psycopg import Connection

from processing.fix import Kind
from processing.service_day import US
from storage import positions, reader
from storage.reader import Window
from streams.cores import Cores
from streams.figures import Causes, DayClosed, Figures
from streams.log import partition_of
from streams.recent import Recent
from streams.restate import WINDOW_US, Restater, Touched
from streams.unit_days import UnitDays


@dataclass(slots=True)
class Reprocessed:
    """How much was computed again."""

    tracks: int = 0
    restated: int = 0


class Reprocess:
    """Computes service days again; `partitions` is how many the log has, `at_us` the district's time."""

    def __init__(self, cores: Cores, partitions: int, cause: str, at_us: int) -> None:
        self.done = Reprocessed()
        self._cores = cores
        self._partitions = partitions
        self._cause = cause
        self._at_us = at_us
        recent = Recent(0, 0)  # a live worker goes on beside us
        self._restater = Restater(cores, recent)
        self._unit_days = UnitDays(cores, recent)
        self._figures = Figures(cores)

    def run(
        self,
        connection: Connection[tuple[object, ...]],
        days: Sequence[date],
        advance: Callable[[int], None] = lambda _: None,
    ) -> Reprocessed:
        """Compute these days, in order, each of all units; `advance` is told how many days are done."""
        self._cores.reread(connection)
        for number, day in enumerate(days, 1):
            touched = Touched()
            for unit_id in reader.units_between(connection, *self._window(day)):
                self._unit(connection, unit_id, day, touched)
            self.done.tracks += touched.tracks
            self._day(connection, day, all_of_them=True)
            advance(number)
        if days:
            # What a pass of the last day left freshly swept can change the day after.
            self._day(connection, days[-1] + timedelta(days=1), all_of_them=False)
        return self.done

    def _window(self, day: date) -> tuple[int, int]:
        start_us = self._restater.days.start_us
        return start_us(day), start_us(day + timedelta(days=1))

    def _unit(
        self, connection: Connection[tuple[object, ...]], unit_id: str, day: date, touched: Touched
    ) -> None:
        """The tracks of a unit that start on a service day, and what it did on it."""
        today = Window(unit_id, *self._window(day))
        hold_us = int(self._restater.rules.equipment_hold_s_max * US)
        with connection.transaction():
            positions.lock_partition(connection, partition_of(unit_id, self._partitions))
            starts = sorted(reader.track_digests(connection, [today])[unit_id])
            after = Window(unit_id, today.to_us, today.to_us + WINDOW_US)
            following = sorted(reader.track_digests(connection, [after])[unit_id])
            if starts:
                stop_us = following[0] if following else after.to_us
                (reports,) = reader.reports(connection, [Window(unit_id, starts[0] - hold_us, stop_us)])
                # Of what lies before the first track only a status may still hold.
                reports = reports.take((reports.fix_time_us >= starts[0]) | (reports.kind == Kind.EQUIPMENT))
                self._restater.again(connection, Window(unit_id, starts[0], stop_us), reports, touched)
            (reports,) = reader.reports(connection, [today])
            if len(reports):
                self._unit_days.restate(connection, {unit_id: reports}, Touched())

    def _day(self, connection: Connection[tuple[object, ...]], day: date, *, all_of_them: bool) -> None:
        """Restate a day's figures that are others now, or were made by other versions."""
        keys = {(street_id, day) for street_id in self._cores.at(connection, day).core.streets}
        causes = Causes(self._cause, all_of_them=all_of_them)
        while True:
            try:
                with connection.transaction():
                    mine = Touched(street_days=keys, days={day})
                    self.done.restated += len(self._figures.restate(connection, mine, causes, self._at_us))
            except DayClosed:
                continue
            return
