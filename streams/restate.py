"""From new reports to new tracks, passes and figures, inside a batch's transaction.

A track's start looks back only: it never changes unless a fix before it does. So the reports that a new one
can touch begin at the start of the track it falls in or joins, and end at the first gap after it (and after
the time that a status holds). Tracks in between whose digest is as stored stay as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from psycopg import Connection

from processing.fix import Kind, ReportColumns
from processing.pipeline import Track
from processing.service_day import US
from processing.sweep import Pass
from storage import reader, writer
from storage.reader import Window
from storage.writer import TrackRow
from streams.cores import Cores, Dated
from streams.days import Days
from streams.recent import KeptTrack, Recent

#: How much more is read while no gap is found; a track is a day long at most.
WINDOW_US = 26 * 3_600 * US
#: The end of a window that nothing bounds.
OPEN_US = 2**62
#: Units whose reports are read in one go: a day of each is in memory then.
UNITS_READ_MAX = 32


class CoreFailed(Exception):  # noqa: N818 - the core's fault, not ours
    """The pure core raised on what it was given: the record that brought it must be found."""


@dataclass(slots=True)
class Touched:
    """What a batch changed, and with it the figures to build again."""

    street_days: set[tuple[str, date]] = field(default_factory=set)
    late: set[tuple[str, date]] = field(default_factory=set)
    #: Service days on which units reported: their silences, and with them verdicts, may be others now.
    days: set[date] = field(default_factory=set)
    #: From the first to the last late report: what adds up by the hour is refreshed there.
    late_us: tuple[int, int] | None = None
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

    def compare(self, old: Iterable[Pass], new: Iterable[Pass]) -> None:
        """See which passes went and came: of a track that grew most stay as they were, and so do their streets."""
        before = {(one.track_start_us, one.ordinal): one for one in old}
        after = {(one.track_start_us, one.ordinal): one for one in new}
        self.went = [one for key, one in before.items() if after.get(key) != one]
        self.came = [one for key, one in after.items() if before.get(key) != one]


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
        grown = {unit_id: self._grown(connection, unit_id, columns) for unit_id, columns in new.items()}
        self._write(connection, [one for one in grown.values() if one is not None], touched)
        groups = {unit_id: list(_groups(new[unit_id])) for unit_id, one in grown.items() if one is None}
        for turn in range(max(map(len, groups.values()), default=0)):
            parts = [
                _Part(unit_id, of[turn], last_us.get(unit_id), _newest_us(new[unit_id], last_us.get(unit_id)))
                for unit_id, of in groups.items()
                if turn < len(of)
            ]
            made = [
                one
                for low in range(0, len(parts), UNITS_READ_MAX)
                for one in self._matched(connection, parts[low : low + UNITS_READ_MAX])
            ]
            self._write(connection, made, touched)

    def _grown(self, connection: Connection[Any], unit_id: str, new: ReportColumns) -> _Made | None:
        """What becomes of a unit whose reports all come after its last track's; None: that can't be said."""
        kept = self.recent.tracks.pop(unit_id)
        if kept is None or int(new.fix_time_us[0]) <= kept.newest_us:
            return None
        growing, dated = kept.growing, kept.dated
        if self.cores.at(connection, self.days.of(growing.start_us)) is not dated:
            return None
        before, count = growing.open, growing.count
        try:
            grown = dated.core.grow(growing, new)
            fits = grown is not None and (bool(grown.after) or growing.settle())
        except Exception as error:
            raise CoreFailed(f"matching unit {unit_id} failed: {error!r}") from error
        if grown is None or not self._all_by(connection, dated, grown.after):
            return None
        made = _Made(unit_id, [], [(track, dated) for track in grown.after])
        if growing.count > count:
            row = (growing.start_us, growing.end_us, growing.count, growing.digest)
            made.gone_us.append(growing.start_us)
            made.tracks.insert(0, (Track(unit_id, *row, grown.passes), dated))
        made.compare(before, (*grown.passes, *(one for track in grown.after for one in track.passes or ())))
        last = grown.after[-1].growing if grown.after else growing
        if fits and last is not None:
            self.recent.tracks.put(unit_id, KeptTrack(int(new.fix_time_us[-1]), dated, last))
        return made

    def _all_by(self, connection: Connection[Any], dated: Dated, tracks: Iterable[Track]) -> bool:
        """Whether these tracks start on service days of the same core."""
        return all(self.cores.at(connection, self.days.of(track.start_us)) is dated for track in tracks)

    def again(
        self, connection: Connection[Any], window: Window, reports: ReportColumns, touched: Touched
    ) -> None:
        """Match a unit's tracks that start in a window again, where other versions made them."""
        self.recent.tracks.pop(window.unit_id)
        self._write(connection, self._made(connection, [(window, reports, None)]), touched)

    def _matched(self, connection: Connection[Any], parts: Sequence[_Part]) -> list[_Made]:
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
            parts, starts_us, self._windows(connection, parts, starts_us), strict=True
        ):
            late_us: tuple[int, int] | None = None
            first_us, until_us = part.group.fix_time_us[[0, -1]].tolist()
            if part.last_us is not None and first_us < part.last_us - self._late_us:
                late_us = first_us, until_us
            todo.append((Window(part.unit_id, from_us, stop_us), reports, late_us))
        return self._made(connection, todo)

    def _windows(
        self, connection: Connection[Any], parts: Sequence[_Part], starts_us: Sequence[int]
    ) -> list[tuple[ReportColumns, int]]:
        """Each unit's reports from its start (statuses: as long before as they hold) to a sure track's end."""
        found: dict[int, tuple[ReportColumns, int]] = {}
        further_us = WINDOW_US
        while open_parts := [n for n in range(len(parts)) if n not in found]:
            lasts_us = [int(parts[n].group.fix_time_us[-1]) for n in open_parts]
            windows = [
                Window(parts[n].unit_id, starts_us[n] - self._hold_us, last_us + further_us)
                for n, last_us in zip(open_parts, lasts_us, strict=True)
            ]
            read = reader.reports(connection, windows)
            for n, last_us, window, reports in zip(open_parts, lasts_us, windows, read, strict=True):
                stop_us = self._stop_us(reports, last_us)
                if stop_us is not None or parts[n].newest_us < window.to_us:
                    found[n] = self._cut(reports, starts_us[n], stop_us or OPEN_US)
            further_us += WINDOW_US
        return [found[n] for n in range(len(parts))]

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
            if window.to_us == OPEN_US and tracks and (growing := tracks[-1][0].growing) is not None:
                newest_us = int(reports.fix_time_us[-1])
                self.recent.tracks.put(window.unit_id, KeptTrack(newest_us, tracks[-1][1], growing))
        old: dict[str, list[Pass]] = defaultdict(list)
        for one in reader.passes_of_tracks(connection, [(m.unit_id, us) for m in made for us in m.gone_us]):
            old[one.unit_id].append(one)
        for unit in made:
            unit.compare(old[unit.unit_id], [one for t, _ in unit.tracks for one in t.passes or ()])
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
