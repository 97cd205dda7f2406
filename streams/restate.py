"""From new reports to new tracks, passes and figures, inside a batch's transaction.

A track's start looks back only: it never changes unless a fix before it does. So the reports that a new one
can touch begin at the start of the track it falls in or joins, and end at the first gap after it (and after
the time that a status holds). Tracks in between whose digest is as stored stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
from psycopg import Connection

from processing.fix import Kind, ReportColumns
from processing.pipeline import Track
from processing.rules import Rules
from processing.service_day import US, day_start_us, service_day
from processing.sweep import Pass
from processing.unit_day import EquipmentInterval, UnitDay, equipment_intervals, unit_day
from storage import reader, writer
from storage.writer import TrackRow
from streams.cores import Cores, Dated
from streams.recent import Recent

#: How much more is read while no gap is found; a track is a day long at most.
WINDOW_US = 26 * 3_600 * US


class CoreFailed(Exception):  # noqa: N818 - the core's fault, not ours
    """The pure core raised on what it was given: the record that brought it must be found."""


@dataclass(slots=True)
class Touched:
    """What a batch changed: the figures to build again, and what the cache may keep once it is committed."""

    street_days: set[tuple[str, date]] = field(default_factory=set)
    late: set[tuple[str, date]] = field(default_factory=set)
    #: Service days on which units reported: their silences, and with them verdicts, may be others now.
    days: set[date] = field(default_factory=set)
    #: From the first to the last late report: what adds up by the hour is refreshed there.
    late_us: tuple[int, int] | None = None
    recent: dict[str, tuple[int, ReportColumns | None]] = field(default_factory=dict)
    tracks: int = 0


class Days:
    """Service days under a district's rules."""

    def __init__(self, rules: Rules) -> None:
        self._zone = (rules.day_start_s, rules.timezone)
        self._depth_gap_us = int(rules.depth_gap_s * US)

    def of(self, moment_us: int) -> date:
        """The service day in which an instant lies."""
        return service_day(moment_us, *self._zone)

    def start_us(self, day: date) -> int:
        """The instant at which a service day begins."""
        return day_start_us(day, *self._zone)

    def just_swept_us(self, day: date) -> int:
        """The instant from which what was swept counts as just swept when the day begins."""
        return self.start_us(day) - self._depth_gap_us

    def of_pass(self, one: Pass) -> list[date]:
        """The service days whose figures a pass can change."""
        day = self.of(one.enter_us)
        swept_until_us = max((max(piece.from_us, piece.to_us) for piece in one.swept), default=None)
        following = day + timedelta(days=1)
        reaches = swept_until_us is not None and swept_until_us >= self.just_swept_us(following)
        return [day, following] if reaches else [day]


class Restater:
    """Replaces what depends on a unit's new reports.

    A report is late where it is older than the unit's newest committed fix by more than a join may last;
    nearer ones only came out of order, and what they change was provisional.
    """

    def __init__(self, cores: Cores, recent: Recent) -> None:
        self.cores = cores
        self.rules = cores.first.core.district.rules
        self.days = Days(self.rules)
        self.recent = recent
        self._hold_us = int(self.rules.equipment_hold_s_max * US)
        self._late_us = int(self.rules.join_s_max * US)

    def unit(
        self,
        connection: Connection[Any],
        unit_id: str,
        new: ReportColumns,
        last_us: int | None,
        touched: Touched,
    ) -> None:
        """Step 5 for one unit: `new` is committed with this batch, `last_us` was the newest fix before it."""
        newest_us = max(int(new.fix_time_us[-1]), last_us or 0)
        for group in _groups(new):
            from_us = self._start_us(connection, unit_id, int(group.fix_time_us[0]))
            late = last_us is not None and int(group.fix_time_us[0]) < last_us - self._late_us
            reports, stop_us = self._window(
                connection, unit_id, from_us, group, newest_us=newest_us, touched=touched
            )
            old, changed, fresh = self._replace(connection, unit_id, reports, from_us, stop_us)
            touched.tracks += changed
            if late:
                span_us = (*(touched.late_us or ()), *group.fix_time_us[[0, -1]].tolist())
                touched.late_us = min(span_us), max(span_us)
            # What a track that grew has in common with what it was changes no figure.
            for one in set(old) ^ set(fresh):
                keys = {(one.street_id, day) for day in self.days.of_pass(one)}
                touched.street_days |= keys
                if late:
                    touched.late |= keys

    def again(
        self,
        connection: Connection[Any],
        unit_id: str,
        reports: ReportColumns,
        window_us: tuple[int, int],
        touched: Touched,
    ) -> None:
        """Match a unit's tracks that start in a window again, where other versions made them."""
        old, changed, fresh = self._replace(connection, unit_id, reports, *window_us)
        touched.tracks += changed
        for one in set(old) ^ set(fresh):
            touched.street_days |= {(one.street_id, day) for day in self.days.of_pass(one)}

    def _start_us(self, connection: Connection[Any], unit_id: str, first_us: int) -> int:
        """The start of the track that the first new report can fall in or join, else its own time."""
        track = reader.last_track_before(connection, unit_id, first_us)
        if track is None or track[1] < first_us - int(self.rules.track_gap_s_max * US):
            return first_us
        return track[0]

    def _cached(self, unit_id: str, from_us: int, touched: Touched) -> ReportColumns | None:
        """The unit's reports from an instant on as this transaction sees them, less the group at hand."""
        if unit_id not in touched.recent:
            return self.recent.get(unit_id, from_us)
        known_from_us, known = touched.recent[unit_id]
        return known if known is not None and known_from_us <= from_us else None

    def _window(
        self,
        connection: Connection[Any],
        unit_id: str,
        from_us: int,
        group: ReportColumns,
        *,
        newest_us: int,
        touched: Touched,
    ) -> tuple[ReportColumns, int]:
        """The unit's reports from `from_us` (statuses: as long before as they hold) to a sure track's end."""
        last_us = int(group.fix_time_us[-1])
        day_us = self.days.start_us(self.days.of(int(group.fix_time_us[0])))
        load_us = min(from_us, day_us) - self._hold_us
        cached = self._cached(unit_id, load_us, touched)
        to_us = last_us + WINDOW_US
        while True:
            if cached is not None:
                reports = cached.merge(group)
                complete = True
            else:
                reports = reader.reports(connection, unit_id, load_us, to_us)
                complete = newest_us < to_us
            stop_us = self._stop_us(reports, last_us)
            if stop_us is not None or complete:
                break
            to_us += WINDOW_US
        touched.recent[unit_id] = (load_us, reports if complete else None)
        stop_us = stop_us or 2**62
        keep = (reports.fix_time_us < stop_us) & (
            (reports.fix_time_us >= from_us)
            | ((reports.kind == Kind.EQUIPMENT) & (reports.fix_time_us >= from_us - self._hold_us))
        )
        return reports.take(keep), stop_us

    def _stop_us(self, reports: ReportColumns, last_us: int) -> int | None:
        """The time of the first fix after a gap that nothing new can reach over, or None."""
        fixes_us = reports.fix_time_us[reports.kind == Kind.FIX]
        gap_us = int(self.rules.track_gap_s_max * US)
        starts = (np.diff(fixes_us) > gap_us) & (fixes_us[1:] > last_us + self._hold_us)
        found = np.flatnonzero(starts)
        return int(fixes_us[1:][found[0]]) if len(found) else None

    def _replace(
        self, connection: Connection[Any], unit_id: str, reports: ReportColumns, from_us: int, stop_us: int
    ) -> tuple[list[Pass], int, list[Pass]]:
        """Write what changed; gives the passes that went, how many tracks changed, and the new passes."""
        known = reader.track_digests(connection, unit_id, from_us, stop_us)
        tracks = self._tracks(connection, unit_id, reports, known)
        fresh = [(track, dated) for track, dated in tracks if track.passes is not None]
        unchanged = {track.start_us for track, _ in tracks if track.passes is None}
        gone = sorted(start_us for start_us in known if start_us not in unchanged)
        old = reader.passes_of_tracks(connection, unit_id, gone) if gone else []
        rows = [
            TrackRow(t.unit_id, t.start_us, t.end_us, t.fixes, t.digest, dated.versions, t.suspected_datum)
            for t, dated in fresh
        ]
        writer.tracks(connection, unit_id, gone, rows)
        # Of a track that grew, most passes stay as they were, and so do their streets.
        before = {(one.track_start_us, one.ordinal): one for one in old}
        after = {(one.track_start_us, one.ordinal): one for track, _ in fresh for one in track.passes or ()}
        went = [one for key, one in before.items() if after.get(key) != one]
        came = [one for key, one in after.items() if before.get(key) != one]
        writer.passes(connection, unit_id, went, [(one, self.days.of(one.enter_us)) for one in came])
        return went, len(fresh), came

    def _tracks(
        self, connection: Connection[Any], unit_id: str, reports: ReportColumns, known: reader.Digests
    ) -> list[tuple[Track, Dated]]:
        """The tracks of these reports, each by the core of the service day in which it starts."""
        found: list[tuple[Track, Dated]] = []
        while len(fixes_us := reports.fix_time_us[reports.kind == Kind.FIX]):
            dated = self.cores.at(connection, self.days.of(int(fixes_us[0])))
            as_made = {
                start_us: one.digest for start_us, one in known.items() if one.versions == dated.versions
            }
            try:
                tracks = self.cores.knowing(dated, unit_id).tracks(unit_id, reports, as_made)
            except Exception as error:
                raise CoreFailed(f"matching unit {unit_id} failed: {error!r}") from error
            # The first track of a day that has another version begins anew, by that one's rules.
            versions = ((t.start_us, self.cores.at(connection, self.days.of(t.start_us))) for t in tracks)
            until_us = next((start_us for start_us, its in versions if its is not dated), 2**62)
            found += [(t, dated) for t in tracks if t.start_us < until_us]
            held = (reports.kind == Kind.EQUIPMENT) & (reports.fix_time_us >= until_us - self._hold_us)
            reports = reports.take((reports.fix_time_us >= until_us) | held)
        return found

    def unit_days(
        self, connection: Connection[Any], new: Mapping[str, ReportColumns], touched: Touched
    ) -> None:
        """Step 6: build the unit-days and equipment intervals of the days of new reports again."""
        keys: list[tuple[str, date]] = []
        days: list[UnitDay] = []
        intervals: list[tuple[date, EquipmentInterval]] = []
        for unit_id, columns in new.items():
            for day in self._days(columns):
                keys.append((unit_id, day))
                reports = self._day(connection, unit_id, day, touched)
                core = self.cores.knowing(self.cores.at(connection, day), unit_id)
                try:
                    figures = unit_day(core.units[unit_id], day, reports, core.rules)
                    states = equipment_intervals(unit_id, reports, core.rules)
                except Exception as error:
                    raise CoreFailed(f"the day {day} of unit {unit_id} failed: {error!r}") from error
                days += [] if figures is None else [figures]
                intervals += [(day, state) for state in self._clipped(states, day)]
                touched.days.add(day)
        if keys:
            writer.unit_days(connection, keys, days, intervals, self.cores.first.versions)

    def _days(self, new: ReportColumns) -> list[date]:
        """The service days of new reports, and of the time that a status among them holds."""
        moments_us = {
            *new.fix_time_us.tolist(),
            *(new.fix_time_us[new.kind == Kind.EQUIPMENT] + self._hold_us),
        }
        found: list[date] = []
        until_us = -(2**62)
        for moment_us in sorted(moments_us):
            if moment_us >= until_us:
                day = self.days.of(int(moment_us))
                until_us = self.days.start_us(day + timedelta(days=1))
                found.append(day)
        return found

    def _day(self, connection: Connection[Any], unit_id: str, day: date, touched: Touched) -> ReportColumns:
        """The unit's reports of a service day, and those before it from which a status may still hold."""
        from_us = self.days.start_us(day) - self._hold_us
        to_us = self.days.start_us(day + timedelta(days=1))
        known_from_us, known = touched.recent.get(unit_id, (0, None))
        if known is not None and known_from_us <= from_us:
            return known.between(from_us, to_us)
        return reader.reports(connection, unit_id, from_us, to_us)

    def _clipped(self, states: Iterable[EquipmentInterval], day: date) -> Iterable[EquipmentInterval]:
        """What of these lies in the service day."""
        start_us = self.days.start_us(day)
        for state in states:
            if state.to_us > start_us:
                yield replace(state, from_us=max(state.from_us, start_us))


def _groups(new: ReportColumns) -> Iterable[ReportColumns]:
    """New reports of one unit, cut where they lie so far apart that no window reaches over."""
    cuts = np.flatnonzero(np.diff(new.fix_time_us) > WINDOW_US) + 1
    for rows in np.split(np.arange(len(new)), cuts):
        yield new.take(rows)
