"""From passes to street-days on the record: computed, judged where the day is closed, written as versions.

Two workers may touch one street. Whoever changes figures of an open day shares the lock on the day and holds
those on its streets; whoever judges a closed day, or closes one, holds the day alone. All in sorted order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from psycopg import Connection

from processing.district import Street
from processing.frequency import street_day
from processing.service_day import US, day_start_us
from processing.silence import Ground, gaps_of_day, shift_window
from processing.sweep import Passes
from processing.verdict import Gap, verdict
from storage import positions, reader, street_days
from storage.queries.suspects import suspects
from storage.queries.unit_days import unit_days
from storage.street_days import Change, Kept, Key, Recorded
from streams.cores import Cores, Dated
from streams.days import Days
from streams.restate import CoreFailed, Touched

CLOSED = "day closed"
_NO_PASSES = Passes.of("", ())


class DayClosed(Exception):  # noqa: N818 - says what happened
    """A service day was closed by another while we waited for it: what we computed is of an open day."""


@dataclass(frozen=True, slots=True)
class Causes:
    """Why figures are restated: those in `late` and those of closed days are, the others change in place.

    With `all_of_them` a figure is restated also where only the versions that made it are others.
    """

    cause: str
    late: Collection[tuple[str, date]] = ()
    all_of_them: bool = False

    def of(self, key: Key, closed: Collection[date]) -> str | None:
        """The cause for one street-day; None: it was provisional, and is replaced."""
        restated = self.all_of_them or key.service_day in closed or key[:2] in self.late
        return self.cause if restated else None


class Figures:
    """Computes and records street-days, by the map and rules of each service day."""

    def __init__(self, cores: Cores) -> None:
        self.cores = cores
        self.days = Days(cores.first.core.district.rules)
        self._grace_us = int(cores.first.core.district.rules.track_gap_s_max * US)

    def restate(self, connection: Connection[Any], touched: Touched, causes: Causes, at_us: int) -> list[str]:
        """Step 7: build the touched figures again, and the verdicts of closed days; the streets that changed."""
        days = touched.days | {day for _, day in touched.street_days}
        if not self.cores.first.core.district.shifts:
            # Whom to expect on a day then follows from when units were heard of on the days beside it.
            days |= {day + timedelta(days=n) for day in touched.days for n in (-1, 1)}
        closed = street_days.closed_days(connection, days)
        positions.lock_days(connection, shared=days - closed, alone=closed)
        keys = sorted(key for key in touched.street_days if self._has(connection, *key))
        open_keys = [key for key in keys if key[1] not in closed]
        positions.lock_street_days(connection, [f"{street_id} {day}" for street_id, day in open_keys])
        if street_days.closed_days(connection, days) != closed:
            raise DayClosed
        return self._record(connection, keys, closed, causes, at_us)

    def due(self, heard_us: int, last: date | None, first: date | None, days_max: int = 7) -> list[date]:
        """The service days that can be closed when all partitions were heard of until `heard_us`.

        `last` is the newest closed one, `first` the oldest open one on which anything was reported.
        """
        beyond = last + timedelta(days=1) if last else None
        day = min((one for one in (first, beyond) if one), default=None)
        found: list[date] = []
        while day and len(found) < days_max:
            following = day + timedelta(days=1)
            if self.days.start_us(following) + self._grace_us > heard_us:
                break
            found.append(day)
            day = following
        return found

    def close(self, connection: Connection[Any], day: date, at_us: int) -> bool:
        """Judge all streets of a service day and close it; False where another has."""
        positions.lock_days(connection, shared=(), alone=[day])
        if street_days.closed_days(connection, [day]):
            return False
        self.cores.reread(connection)
        self._record(connection, [], {day}, Causes(CLOSED), at_us, first_time=True)
        street_days.close(connection, day, at_us)
        return True

    def _has(self, connection: Connection[Any], street_id: str, day: date) -> bool:
        return street_id in self.cores.at(connection, day).core.streets

    def _record(
        self,
        connection: Connection[Any],
        keys: Sequence[tuple[str, date]],
        closed: Collection[date],
        causes: Causes,
        at_us: int,
        *,
        first_time: bool = False,
    ) -> list[str]:
        judged = {
            (street_id, day) for day in closed for street_id in self.cores.at(connection, day).core.streets
        }
        # Of a closed day all is looked at: what is of no street on its map any more has to go.
        whole = {*closed, *(day for _, day in keys if causes.all_of_them)}
        before = street_days.read_days(connection, whole) | street_days.read(connection, keys)
        fresh = self._computed(connection, keys, before, closed)
        after = fresh | {
            key: one for key, one in self._others(connection, judged, before).items() if key not in fresh
        }
        after = self._judged(connection, after, closed)
        recomputed = set(keys)
        changes = [
            Change(key, old, new, None if first_time and old and new else causes.of(key, closed))
            for key in sorted(before.keys() | after.keys())
            if (key[:2] in recomputed or key in after or not self._has(connection, *key[:2]))
            and _differs(old := before.get(key), new := after.get(key), versions=causes.all_of_them)
        ]
        street_days.write(connection, changes, at_us)
        return sorted({change.key.street_id for change in changes})

    def _computed(
        self,
        connection: Connection[Any],
        keys: Sequence[tuple[str, date]],
        before: Mapping[Key, Kept],
        closed: Collection[date],
    ) -> dict[Key, Recorded]:
        """The figures of these street-days from their passes; of a closed day also those without any."""
        asked = [(street_id, day, self.days.just_swept_us(day)) for street_id, day in keys]
        passes = dict(zip(keys, reader.counted_passes(connection, asked), strict=True))
        wanted: set[Key] = set()
        for (street_id, day), (starts, some) in passes.items():
            core = self.cores.at(connection, day).core
            windows = {"": None} | {
                s.shift_id: shift_window(core.rules, s, day) for s in core.district.shifts
            }
            for shift_id, window in windows.items():
                if window is None:
                    own = starts
                else:
                    own = starts & (some.enter_us >= window[0]) & (some.enter_us < window[1])
                works = {some.works[work] for work in some.work[own].tolist()}
                wanted |= {Key(street_id, day, work, shift_id) for work in works}
        # What was settled once stays on the record, if only to say that nothing is left of it.
        wanted |= {key for key in before if key.service_day in closed and key[:2] in passes}
        return {key: self._figure(connection, key, passes[key[:2]][1]) for key in sorted(wanted)}

    def _figure(self, connection: Connection[Any], key: Key, passes: Passes) -> Recorded:
        dated = self.cores.at(connection, key.service_day)
        core = dated.core
        street = core.streets[key.street_id]
        windows = {s.shift_id: shift_window(core.rules, s, key.service_day) for s in core.district.shifts}
        window_us = windows.get(key.shift_id)
        if key.shift_id and window_us is None:
            passes, window_us = _NO_PASSES, (0, 0)  # a shift that the map in force doesn't have
        try:
            figures = street_day(
                street,
                core.references[key.street_id],
                key.service_day,
                key.work,
                passes,
                core.rules,
                window_us,
            )
        except Exception as error:
            raise CoreFailed(f"counting {key.street_id} on {key.service_day} failed: {error!r}") from error
        required = street.required if _is_asked(key, street) else 0
        return Recorded(
            figures,
            key.shift_id,
            required,
            None,
            dated.version,
            dated.versions.rule_version,
            dated.versions.map_version,
        )

    def _others(
        self, connection: Connection[Any], judged: Iterable[tuple[str, date]], before: Mapping[Key, Kept]
    ) -> dict[Key, Recorded]:
        """What is asked of the streets of closed days: as recorded, or that nothing was done."""
        found: dict[Key, Recorded] = {}
        for street_id, day in judged:
            street = self.cores.at(connection, day).core.streets[street_id]
            key = Key(street_id, day, street.work)
            old = before.get(key)
            found[key] = old.recorded if old else self._figure(connection, key, _NO_PASSES)
        return found

    def _judged(
        self, connection: Connection[Any], found: Mapping[Key, Recorded], closed: Collection[date]
    ) -> dict[Key, Recorded]:
        """The same with the verdicts of closed days."""
        gaps = {day: _gaps(connection, self.cores.at(connection, day), day) for day in closed}
        out = dict(found)
        for key, one in found.items():
            if key.service_day not in closed:
                continue
            core = self.cores.at(connection, key.service_day).core
            street = core.streets[key.street_id]
            if _is_asked(key, street):
                silent = gaps[key.service_day].get(key.work, [])
                word = verdict(street, core.references[key.street_id], one.figures, silent, core.rules)
                out[key] = replace(one, verdict=word, required=street.required)
        return out


def _gaps(connection: Connection[Any], dated: Dated, day: date) -> dict[str, list[Gap]]:
    """The silence of expected units on a service day that is over, by kind of work."""
    core = dated.core
    beside = timedelta(days=1)
    rows = [row.seen for row in unit_days(connection, day - beside, day + beside)]
    zone = core.rules.day_start_s, core.rules.timezone
    lost = suspects(connection, list(core.units), day_start_us(day, *zone), day_start_us(day + beside, *zone))
    return gaps_of_day(Ground(core.district, core.projection), day, rows, None, lost)


def _is_asked(key: Key, street: Street) -> bool:
    return key.work == street.work and not key.shift_id


def _differs(old: Kept | None, new: Recorded | None, *, versions: bool) -> bool:
    if old is None or new is None:
        return (old is None) != (new is None)
    if old.recorded.content != new.content:
        return True
    made_by = (old.recorded.rule_version, old.recorded.map_version, old.recorded.district_version)
    return versions and made_by != (new.rule_version, new.map_version, new.district_version)
