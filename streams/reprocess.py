"""Service days computed again from the reports in the store, beside workers that go on.

Each unit's day is a transaction of its own that holds the unit's partition, so that a worker waits some
milliseconds and no more; then each day's figures are restated in one. What is computed by the versions in force
already stays. Killed in between, it leaves whole days on either side; run again, it goes on with the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from psycopg import Connection

from processing.service_day import US
from storage import positions, reader
from streams.cores import Cores
from streams.figures import Causes, DayClosed, Figures
from streams.log import partition_of
from streams.recent import Recent
from streams.restate import WINDOW_US, Restater, Touched


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
        self._restater = Restater(cores, Recent())
        self._figures = Figures(cores)

    def run(
        self,
        connection: Connection[tuple[object, ...]],
        days: Sequence[date],
        advance: Callable[[int], None] = lambda _: None,
    ) -> Reprocessed:
        """Compute these days, in order, each of all units; `advance` is told how many days are done."""
        self._cores.reread(connection)
        touched = Touched()
        for number, day in enumerate(days, 1):
            for unit_id in reader.units_between(connection, *self._window(day)):
                self._unit(connection, unit_id, day, touched)
            advance(number)
        self.done.tracks = touched.tracks
        asked = set(days)
        # What a pass of the last day left freshly swept can change the day after.
        beyond = {day for _, day in touched.street_days} - asked
        for day in sorted(asked | beyond):
            self._day(connection, day, touched, whole=day in asked)
        return self.done

    def _window(self, day: date) -> tuple[int, int]:
        start_us = self._restater.days.start_us
        return start_us(day), start_us(day + timedelta(days=1))

    def _unit(
        self, connection: Connection[tuple[object, ...]], unit_id: str, day: date, touched: Touched
    ) -> None:
        """The tracks of a unit that start on a service day, and what it did on it."""
        from_us, to_us = self._window(day)
        hold_us = int(self._restater.rules.equipment_hold_s_max * US)
        with connection.transaction():
            positions.lock_partition(connection, partition_of(unit_id, self._partitions))
            starts = sorted(reader.track_digests(connection, unit_id, from_us, to_us))
            following = sorted(reader.track_digests(connection, unit_id, to_us, to_us + WINDOW_US))
            if starts:
                stop_us = following[0] if following else to_us + WINDOW_US
                reports = reader.reports(connection, unit_id, starts[0] - hold_us, stop_us)
                self._restater.again(connection, unit_id, reports, (starts[0], stop_us), touched)
            today = reader.reports(connection, unit_id, from_us, to_us)
            if len(today):
                self._restater.unit_days(connection, {unit_id: today}, Touched())

    def _day(
        self, connection: Connection[tuple[object, ...]], day: date, touched: Touched, *, whole: bool
    ) -> None:
        """Restate a day's figures: of all streets, or of those that were touched."""
        keys = {key for key in touched.street_days if key[1] == day}
        if whole:
            keys |= {(street_id, day) for street_id in self._cores.at(connection, day).core.streets}
        causes = Causes(self._cause, all_of_them=True)
        while True:
            try:
                with connection.transaction():
                    mine = Touched(street_days=keys, days={day})
                    self.done.restated += len(self._figures.restate(connection, mine, causes, self._at_us))
            except DayClosed:
                continue
            return
