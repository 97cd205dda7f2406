"""The whole core in one place: a unit's reports in, tracks with their passes out, and street-days.

Everything is a pure function of the reports as a set, so the live worker, which sees them late, twice and
out of order, and `analyze`, which sees them once, come to the same passes.
"""

from __future__ import annotations

import copy
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from processing.ambiguity import NO_RIVAL, certainty, rival_of
from processing.datum_guard import suspected_datum
from processing.district import District, Unit
from processing.fix import Kind, Rejection, Report, ReportColumns
from processing.frequency import StreetDay, street_day
from processing.geodesy import projection_of
from processing.join import Steps, join_steps
from processing.linear_reference import Reference, reference
from processing.match import Match, TrackFixes, match_track
from processing.network import build_network
from processing.order import resolve
from processing.route import build_routes
from processing.rules import Rules
from processing.service_day import service_day
from processing.sweep import Clock, Pass, group_legs, runs_of
from processing.track import track_bounds, working_states
from processing.working import Band, Fixes, doings_of


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
        unit = self.units[unit_id]
        held, own = working_states(reports, unit.profile, self.rules)
        is_fix = reports.kind == Kind.FIX
        fixes = self._fixes(reports.take(is_fix), own[is_fix])
        changes = (reports.fix_time_us[~is_fix], held[~is_fix])
        return [self._track(unit, track, changes, known) for track in self._split(fixes)]

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
                    out.append(street_day(street, ref, day, work, near, rules))
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

    def _fixes(self, reports: ReportColumns, working: NDArray[np.int8]) -> TrackFixes:
        x_m, y_m = self.projection.to_xy(reports.lon, reports.lat)
        return TrackFixes(
            reports.fix_time_us, x_m, y_m, reports.speed_kmh, reports.heading_deg, reports.accuracy_m, working
        )

    def _track(
        self,
        unit: Unit,
        fixes: TrackFixes,
        changes: tuple[NDArray[np.int64], NDArray[np.int8]],
        known: Mapping[int, bytes],
    ) -> Track:
        start_us, end_us = int(fixes.time_us[0]), int(fixes.time_us[-1])
        low = np.searchsorted(changes[0], start_us)
        high = np.searchsorted(changes[0], end_us, side="right")
        change_us, change_state = changes[0][low:high], changes[1][low:high]
        digest = _digest(fixes, change_us, change_state)
        passes, datum = None, None
        if known.get(start_us) != digest:
            datum = suspected_datum(self.network, self.projection, fixes.x_m, fixes.y_m)
            passes = () if datum else self._passes(unit, fixes, change_us, change_state)
        return Track(unit.unit_id, start_us, end_us, len(fixes.time_us), digest, passes, datum)

    def _passes(
        self,
        unit: Unit,
        fixes: TrackFixes,
        change_us: NDArray[np.int64],
        change_state: NDArray[np.int8],
    ) -> tuple[Pass, ...]:
        rules, network, routes = self.rules, self.network, self.routes
        match = match_track(network, routes, fixes, unit.profile, rules)
        legs, path = join_steps(network, routes, match.weights, steps_of(fixes, match))
        on = match.edge >= 0
        step_line = np.where(on, network.edge_line[match.edge], -1)
        band = Band(unit.profile.work_kmh_min, unit.profile.work_kmh_max)
        told = Fixes(fixes.time_us, fixes.speed_kmh, fixes.working, change_us, change_state)
        doings, at_m = doings_of(network, legs, path, told, match.steps, step_line, band)
        numbers = group_legs(network, legs, path, match.edge, len(self.district.streets), rules.leave_m_min)
        passes: list[Pass] = []
        for run in runs_of(network, legs, numbers, doings, Clock(at_m, fixes.time_us)):
            rival = NO_RIVAL
            if run.swept:
                rival = rival_of(network, routes, match, run.line, run.first_step, run.last_step)
            sure = certainty(rival, rules)
            ambiguous = sure < rules.certainty_min
            passes.append(
                Pass(
                    unit_id=unit.unit_id,
                    track_start_us=int(fixes.time_us[0]),
                    ordinal=len(passes),
                    street_id=self._line_ids[run.line],
                    work=unit.profile.work,
                    direction=run.direction,
                    enter_us=run.enter_us,
                    leave_us=run.leave_us,
                    enter_mm=run.enter_mm,
                    leave_mm=run.leave_mm,
                    swept=run.swept,
                    unobserved=run.unobserved,
                    ambiguous_with=self._line_ids[rival.line] if ambiguous else None,
                    certainty=sure,
                )
            )
        return tuple(passes)


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


def _digest(fixes: TrackFixes, change_us: NDArray[np.int64], change_state: NDArray[np.int8]) -> bytes:
    """Tells whether anything that a track's passes depend on has changed; 16 bytes."""
    digest = hashlib.sha256()
    for column in (
        fixes.time_us,
        fixes.x_m,
        fixes.y_m,
        fixes.speed_kmh,
        fixes.heading_deg,
        fixes.accuracy_m,
        fixes.working,
        change_us,
        change_state,
    ):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.digest()[:16]


def steps_of(fixes: TrackFixes, match: Match) -> Steps:
    """The decoded steps of a track as joins take them."""
    steps = match.steps
    return Steps(
        time_us=fixes.time_us[steps],
        x_m=fixes.x_m[steps],
        y_m=fixes.y_m[steps],
        sigma_m=match.rows["sigma_m"],
        edge=match.edge,
        direction=match.direction,
        measure_m=match.measure_m,
        driven_m=match.rows["driven_m"],
    )
