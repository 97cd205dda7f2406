"""From new reports to new tracks, passes and figures, inside a batch's transaction.

A track's start looks back only: it never changes unless a fix before it does. So the reports that a new one
can touch begin at the start of the track it falls in or joins, and end at the first gap after it (and after
the time that a status holds). Tracks in between whose digest is as stored stay as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
from psycopg import Connection

from processing.fix import Kind, ReportColumns
from processing.pipeline import Track
from processing.rules import Rules
from processing.service_day import US, day_start_us, service_day
from processing.sweep import Pass
from processing.unit_day import EquipmentInterval, UnitDay, equipment_intervals, unit_day
from storage import reader, writer
from storage.reader import Window
from storage.writer import TrackRow
from streams.cores import Cores, Dated
from streams.recent import Recent

#: How much more is read while no gap is found; a track is a day long at most.
WINDOW_US = 26 * 3_600 * US
#: Units whose reports are read in one go: a day of each is in memory then.
UNITS_READ_MAX = 32


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


class _Part(NamedTuple):
    """New reports of a unit that one window holds; its newest fix before this batch, its newest report now."""

    unit_id: str
    group: ReportColumns
    last_us: int | None
    newest_us: int


@dataclass(slots=True)
class _Made:
    """What becomes of a unit's tracks and passes; `late_us` is the span of its late reports."""

    unit_id: str
    gone_us: list[int]
    tracks: list[tuple[Track, Dated]]
    went: list[Pass] = field(default_factory=list)
    came: list[Pass] = field(default_factory=list)
    late_us: tuple[int, int] | None = None


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

    def tracks(
        self,
        connection: Connection[Any],
        new: Mapping[str, ReportColumns],
        last_us: Mapping[str, int],
        touched: Touched,
    ) -> None:
        """Step 5: `new` is committed with this batch, `last_us` has the units' newest fixes before it."""
        groups = {unit_id: list(_groups(columns)) for unit_id, columns in new.items()}
        for turn in range(max(map(len, groups.values()), default=0)):
            parts = [
                _Part(unit_id, of[turn], last_us.get(unit_id), _newest_us(new[unit_id], last_us.get(unit_id)))
                for unit_id, of in groups.items()
                if turn < len(of)
            ]
            made = [
                one
                for low in range(0, len(parts), UNITS_READ_MAX)
                for one in self._matched(connection, parts[low : low + UNITS_READ_MAX], touched)
            ]
            self._write(connection, made, touched)

    def again(
        self, connection: Connection[Any], window: Window, reports: ReportColumns, touched: Touched
    ) -> None:
        """Match a unit's tracks that start in a window again, where other versions made them."""
        self._write(connection, self._made(connection, [(window, reports, None)]), touched)

    def _matched(self, connection: Connection[Any], parts: Sequence[_Part], touched: Touched) -> list[_Made]:
        """What is made of the tracks that these new reports fall in or join."""
        firsts_us = [(part.unit_id, int(part.group.fix_time_us[0])) for part in parts]
        before = reader.last_tracks_before(connection, firsts_us)
        gap_us = int(self.rules.track_gap_s_max * US)
        starts_us: list[int] = []
        for unit_id, first_us in firsts_us:
            start_us, end_us = before.get(unit_id, (first_us, -(2**62)))
            # The start of the track that the first report can fall in or join, else its own time.
            starts_us.append(start_us if end_us >= first_us - gap_us else first_us)
        todo: list[tuple[Window, ReportColumns, tuple[int, int] | None]] = []
        for part, from_us, (reports, stop_us) in zip(
            parts, starts_us, self._windows(connection, parts, starts_us, touched), strict=True
        ):
            late_us: tuple[int, int] | None = None
            first_us, until_us = part.group.fix_time_us[[0, -1]].tolist()
            if part.last_us is not None and first_us < part.last_us - self._late_us:
                late_us = first_us, until_us
            todo.append((Window(part.unit_id, from_us, stop_us), reports, late_us))
        return self._made(connection, todo)

    def _windows(
        self,
        connection: Connection[Any],
        parts: Sequence[_Part],
        starts_us: Sequence[int],
        touched: Touched,
    ) -> list[tuple[ReportColumns, int]]:
        """Each unit's reports from its start (statuses: as long before as they hold) to a sure track's end."""
        found: dict[int, tuple[ReportColumns, int]] = {}
        further_us = WINDOW_US
        while open_parts := [n for n in range(len(parts)) if n not in found]:
            missing: dict[int, Window] = {}
            known: dict[int, ReportColumns] = {}
            for n in open_parts:
                part = parts[n]
                first_us, last_us = part.group.fix_time_us[[0, -1]].tolist()
                load_us = min(starts_us[n], self.days.start_us(self.days.of(first_us))) - self._hold_us
                cached = self._cached(part.unit_id, load_us, touched)
                if cached is not None:
                    known[n] = cached.merge(part.group)
                missing[n] = Window(part.unit_id, load_us, last_us + further_us)
            read = [n for n in open_parts if n not in known]
            known |= zip(read, reader.reports(connection, [missing[n] for n in read]), strict=True)
            for n in open_parts:
                part, reports = parts[n], known[n]
                complete = n not in read or part.newest_us < missing[n].to_us
                stop_us = self._stop_us(reports, int(part.group.fix_time_us[-1]))
                if stop_us is None and not complete:
                    continue
                touched.recent[part.unit_id] = (missing[n].from_us, reports if complete else None)
                found[n] = self._cut(reports, starts_us[n], stop_us or 2**62)
            further_us += WINDOW_US
        return [found[n] for n in range(len(parts))]

    def _cached(self, unit_id: str, from_us: int, touched: Touched) -> ReportColumns | None:
        """The unit's reports from an instant on as this transaction sees them, less the group at hand."""
        if unit_id not in touched.recent:
            return self.recent.get(unit_id, from_us)
        known_from_us, known = touched.recent[unit_id]
        return known if known is not None and known_from_us <= from_us else None

    def _cut(self, reports: ReportColumns, from_us: int, stop_us: int) -> tuple[ReportColumns, int]:
        """Reports of the tracks from one start to the next that nothing new can reach, and that start."""
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

    def _made(
        self,
        connection: Connection[Any],
        todo: Sequence[tuple[Window, ReportColumns, tuple[int, int] | None]],
    ) -> list[_Made]:
        """What is made of the tracks in each window, and what of the store it replaces."""
        digests = reader.track_digests(connection, [window for window, _, _ in todo])
        made: list[_Made] = []
        for window, reports, late_us in todo:
            known = digests[window.unit_id]
            tracks = self._tracks(connection, window.unit_id, reports, known)
            unchanged = {track.start_us for track, _ in tracks if track.passes is None}
            gone = sorted(start_us for start_us in known if start_us not in unchanged)
            fresh = [(track, dated) for track, dated in tracks if track.passes is not None]
            made.append(_Made(window.unit_id, gone, fresh, late_us=late_us))
        old: dict[str, list[Pass]] = defaultdict(list)
        for one in reader.passes_of_tracks(connection, [(m.unit_id, us) for m in made for us in m.gone_us]):
            old[one.unit_id].append(one)
        for unit in made:
            # Of a track that grew, most passes stay as they were, and so do their streets.
            before = {(one.track_start_us, one.ordinal): one for one in old[unit.unit_id]}
            after = {(one.track_start_us, one.ordinal): one for t, _ in unit.tracks for one in t.passes or ()}
            unit.went = [one for key, one in before.items() if after.get(key) != one]
            unit.came = [one for key, one in after.items() if before.get(key) != one]
        return made

    def _write(self, connection: Connection[Any], made: Sequence[_Made], touched: Touched) -> None:
        """Write what changed of all units at once."""
        writer.tracks(
            connection,
            [(unit.unit_id, start_us) for unit in made for start_us in unit.gone_us],
            [_row(track, dated) for unit in made for track, dated in unit.tracks],
        )
        writer.passes(
            connection,
            [one for unit in made for one in unit.went],
            [(one, self.days.of(one.enter_us)) for unit in made for one in unit.came],
        )
        for unit in made:
            touched.tracks += len(unit.tracks)
            if unit.late_us is not None:
                span_us = (*(touched.late_us or ()), *unit.late_us)
                touched.late_us = min(span_us), max(span_us)
            for one in (*unit.went, *unit.came):
                keys = {(one.street_id, day) for day in self.days.of_pass(one)}
                touched.street_days |= keys
                if unit.late_us is not None:
                    touched.late |= keys

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
        keys = [(unit_id, day) for unit_id, columns in new.items() for day in self._days(columns)]
        days: list[UnitDay] = []
        intervals: list[tuple[date, EquipmentInterval]] = []
        for low in range(0, len(keys), UNITS_READ_MAX):
            some = keys[low : low + UNITS_READ_MAX]
            for (unit_id, day), reports in zip(some, self._of_days(connection, some, touched), strict=True):
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

    def _of_days(
        self, connection: Connection[Any], keys: Sequence[tuple[str, date]], touched: Touched
    ) -> list[ReportColumns]:
        """Each unit's reports of a service day, and those before it from which a status may still hold."""
        windows = [
            Window(
                unit_id,
                self.days.start_us(day) - self._hold_us,
                self.days.start_us(day + timedelta(days=1)),
            )
            for unit_id, day in keys
        ]
        found: dict[Window, ReportColumns] = {}
        for window in windows:
            known_from_us, known = touched.recent.get(window.unit_id, (0, None))
            if known is not None and known_from_us <= window.from_us:
                found[window] = known.between(window.from_us, window.to_us)
        missing = [window for window in windows if window not in found]
        found |= zip(missing, reader.reports(connection, missing), strict=True)
        return [found[window] for window in windows]

    def _clipped(self, states: Iterable[EquipmentInterval], day: date) -> Iterable[EquipmentInterval]:
        """What of these lies in the service day."""
        start_us = self.days.start_us(day)
        for state in states:
            if state.to_us > start_us:
                yield replace(state, from_us=max(state.from_us, start_us))


def _row(track: Track, dated: Dated) -> TrackRow:
    return TrackRow(
        track.unit_id,
        track.start_us,
        track.end_us,
        track.fixes,
        track.digest,
        dated.versions,
        track.suspected_datum,
    )


def _newest_us(new: ReportColumns, last_us: int | None) -> int:
    """The time of a unit's newest report, new or committed before: until then its reports must be known."""
    return max(int(new.fix_time_us[-1]), last_us or 0)


def _groups(new: ReportColumns) -> Iterable[ReportColumns]:
    """New reports of one unit, cut where they lie so far apart that no window reaches over."""
    cuts = np.flatnonzero(np.diff(new.fix_time_us) > WINDOW_US) + 1
    for rows in np.split(np.arange(len(new)), cuts):
        yield new.take(rows)
