"""The whole core in one place: a unit's reports in, tracks with their passes out, and street-days.

Everything is a pure function of the reports as a set, so the live worker, which sees them late, twice and
out of order, and `analyze`, which sees them once, come to the same passes.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processing.datum_guard import suspected_datum
from processing.district import District, Unit
from processing.fix import Kind, Rejection, Report, ReportColumns
from processing.frequency import StreetDay, street_day
from processing.geodesy import projection_of
from processing.growing import Changes, Ground, Growing
from processing.join import Steps
from processing.linear_reference import Reference, reference
from processing.match import Match, TrackFixes, match_track
from processing.network import build_network
from processing.order import resolve
from processing.route import build_routes
from processing.rules import Rules
from processing.service_day import service_day
from processing.sweep import Pass, Passes
from processing.track import track_bounds, working_states


@dataclass(frozen=True, slots=True)
class Track:
    """A track and what was found on it; `passes` is None when its digest was known already.

    A track that seems to be in another datum than its unit's is not computed: it names that datum.
    """

    unit_id: str
    start_us: int
    end_us: int
    fixes: int
    digest: bytes
    passes: tuple[Pass, ...] | None
    suspected_datum: str | None = None
    #: What its next fixes go on from; of the last track of the reports only, where its passes are computed.
    growing: Growing | None = field(default=None, compare=False, repr=False)


class Grown(NamedTuple):
    """What became of a track: its passes that may be others now, and the tracks that began where it ended."""

    passes: tuple[Pass, ...]
    after: tuple[Track, ...] = ()


class Core:
    """A district made ready: its network, routes and references. Build once, it takes some seconds."""

    def __init__(self, district: District) -> None:
        self.district = district
        self.rules: Rules = district.rules
        self.units: Mapping[str, Unit] = {unit.unit_id: unit for unit in district.units}
        lines = (*district.streets, *district.roads)
        self.projection = projection_of(district)
        references = [reference(line, self.projection) for line in lines]
        self.line_references = tuple(references)
        self._line_ids = tuple(line.line_id for line in lines)
        self.references: Mapping[str, Reference] = {
            street.street_id: ref for street, ref in zip(district.streets, references, strict=False)
        }
        self.streets = {street.street_id: street for street in district.streets}
        self.network = build_network(lines, references, noded=district.noded)
        self.routes = build_routes(self.network)
        self._ground = Ground(self.network, self.routes, self.rules, self._line_ids, len(district.streets))

    def knowing(self, unit: Unit) -> Core:
        """The same core with one more unit."""
        other = copy.copy(self)
        other.units = {**self.units, unit.unit_id: unit}
        return other

    def tracks(self, unit_id: str, reports: ReportColumns, known: Mapping[int, bytes]) -> list[Track]:
        """The tracks of a unit's reports, with the passes of those whose digest isn't in `known`.

        The first fix must start a track. Reports of the equipment alone may stand before it, from
        `equipment_hold_s_max` on.
        """
        return self._tracks(self.units[unit_id], reports, known)

    def _tracks(self, unit: Unit, reports: ReportColumns, known: Mapping[int, bytes]) -> list[Track]:
        held, own = working_states(reports, unit.profile, self.rules)
        is_fix = reports.kind == Kind.FIX
        fixes = self._fixes(reports.take(is_fix), own[is_fix])
        changes = Changes(reports.fix_time_us[~is_fix], held[~is_fix])
        parts = self._split(fixes)
        tracks = [self._track(unit, part, changes, known) for part in parts]
        if tracks and (last := tracks[-1].growing) is not None:
            last.status = _last_status(reports)
            if not (last.ending(parts[-1]) is None and last.fits(parts[-1]) and last.settle()):
                tracks[-1] = replace(tracks[-1], growing=None)
        return tracks

    def street_days(self, passes: Iterable[Pass]) -> list[StreetDay]:
        """The figures of every street, day and kind of work in which a pass starts, in that order."""
        rules = self.rules
        by_street: dict[str, list[Pass]] = defaultdict(list)
        for found in passes:
            by_street[found.street_id].append(found)
        out = []
        for street_id in sorted(by_street):
            by_day: dict[date, list[Pass]] = defaultdict(list)
            for found in by_street[street_id]:
                by_day[service_day(found.enter_us, rules.day_start_s, rules.timezone)].append(found)
            for day in sorted(by_day):
                near = [*by_day.get(day - timedelta(days=1), ()), *by_day[day]]
                for work in sorted({found.work for found in by_day[day]}):
                    street, ref = self.streets[street_id], self.references[street_id]
                    out.append(street_day(street, ref, day, work, Passes.of(street_id, near), rules))
        return out

    def matched(self, unit_id: str, reports: ReportColumns) -> list[tuple[TrackFixes, Match]]:
        """Each track's fixes and its decoded path: what the live map and benchmarks look into."""
        unit = self.units[unit_id]
        _, own = working_states(reports, unit.profile, self.rules)
        is_fix = reports.kind == Kind.FIX
        fixes = self._fixes(reports.take(is_fix), own[is_fix])
        tracks = self._split(fixes)
        return [(t, match_track(self.network, self.routes, t, unit.profile, self.rules)) for t in tracks]

    def line_of_edge(self, edge: int) -> str:
        """The street or road that an edge of the network lies on."""
        return self._line_ids[int(self.network.edge_line[edge])]

    def _split(self, fixes: TrackFixes) -> list[TrackFixes]:
        bounds = track_bounds(fixes.time_us, fixes.x_m, fixes.y_m, self.rules)
        return [fixes.part(low, high) for low, high in bounds.tolist()]

    def grow(self, growing: Growing, new: ReportColumns) -> Grown | None:
        """What becomes of a track by the unit's next reports, all of them newer than those before.

        None: all of the track's reports are needed to say that. The state is used up then.
        """
        unit = growing.unit
        told = new if growing.status is None else growing.status.merge(new)
        held, own = working_states(told, unit.profile, self.rules)
        held, own = held[-len(new) :], own[-len(new) :]
        is_fix = new.kind == Kind.FIX
        fixes = self._fixes(new, own) if is_fix.all() else self._fixes(new.take(is_fix), own[is_fix])
        end = growing.ending(fixes)
        stop, start = (len(fixes.time_us), None) if end is None else end
        own_fixes = fixes if start is None else fixes.part(0, stop)
        if start == -1 or not growing.fits(own_fixes):
            return None
        growing.status = _last_status(new) or growing.status
        growing.note(own_fixes, Changes(new.fix_time_us[~is_fix], held[~is_fix]))
        passes = growing.take(own_fixes) if stop else growing.open
        if start is None:
            return Grown(passes)
        rest = told.take((told.kind == Kind.EQUIPMENT) | (told.fix_time_us >= fixes.time_us[start]))
        return Grown(passes, tuple(self._tracks(unit, rest, {})))

    def _fixes(self, reports: ReportColumns, working: NDArray[np.int8]) -> TrackFixes:
        x_m, y_m = self.projection.to_xy(reports.lon, reports.lat)
        return TrackFixes(
            reports.fix_time_us, x_m, y_m, reports.speed_kmh, reports.heading_deg, reports.accuracy_m, working
        )

    def _track(self, unit: Unit, fixes: TrackFixes, changes: Changes, known: Mapping[int, bytes]) -> Track:
        growing = Growing(self._ground, unit, int(fixes.time_us[0]))
        growing.note(fixes, changes.part(slice(np.searchsorted(changes.time_us, growing.start_us), None)))
        passes, datum = None, None
        if known.get(growing.start_us) != growing.digest:
            datum = suspected_datum(self.network, self.projection, fixes.x_m, fixes.y_m)
            passes = () if datum else growing.take(fixes)
        return Track(
            unit_id=unit.unit_id,
            start_us=growing.start_us,
            end_us=growing.end_us,
            fixes=growing.count,
            digest=growing.digest,
            passes=passes,
            suspected_datum=datum,
            growing=growing if passes is not None and datum is None else None,
        )


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a whole batch of reports comes to; everything sorted, nothing depends on their order."""

    tracks: tuple[Track, ...]
    passes: tuple[Pass, ...]
    street_days: tuple[StreetDay, ...]
    conflicts: tuple[Rejection, ...]
    duplicates: int


def analyze(district: District, reports: Iterable[Report], core: Core | None = None) -> Analysis:
    """All figures of a batch of reports, whatever their order; `core` is the district's, if made already."""
    core = core or Core(district)
    resolved = resolve({}, reports)
    by_unit: dict[str, list[Report]] = defaultdict(list)
    for report in resolved.accepted:
        by_unit[report.unit_id].append(report)
    tracks: list[Track] = []
    for unit_id in sorted(by_unit):
        rows = sorted(by_unit[unit_id], key=lambda report: (report.fix_time_us, report.kind))
        tracks.extend(core.tracks(unit_id, ReportColumns.of(rows), {}))
    passes = tuple(found for track in tracks for found in track.passes or ())
    return Analysis(
        tuple(tracks), passes, tuple(core.street_days(passes)), resolved.conflicts, resolved.duplicates
    )


def _last_status(reports: ReportColumns) -> ReportColumns | None:
    """The last status of the equipment alone."""
    told = np.flatnonzero(reports.kind == Kind.EQUIPMENT)
    return reports.take(told[-1:]) if len(told) else None


def steps_of(fixes: TrackFixes, match: Match) -> Steps:
    """The decoded steps of a track as joins take them."""
    steps = match.steps
    return Steps(
        time_us=fixes.time_us[steps],
        x_m=fixes.x_m[steps],
        y_m=fixes.y_m[steps],
        sigma_m=np.ascontiguousarray(match.rows["sigma_m"]),
        edge=match.edge,
        direction=match.direction,
        measure_m=match.measure_m,
        driven_m=np.ascontiguousarray(match.rows["driven_m"]),
    )
