"""From raw records to what a pack says, with nothing but the pack: the same pure core as the worker's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from evidence.decisions import Judged, decisions
from evidence.pack import Record
from evidence.rows import (
    At,
    Case,
    Contents,
    TrackOf,
    figure_row,
    pass_rows,
    report_rows,
    silence_rows,
    track_rows,
)
from processing.decode import Directory, decode
from processing.fix import Kind, Report, ReportColumns
from processing.frequency import StreetDay, street_day
from processing.order import resolve
from processing.pipeline import Core
from processing.service_day import US, day_start_us, service_day
from processing.silence import SHIFT_US, Ground, Seen, Suspect, gaps_of_day, shift_window
from processing.sweep import Pass, Passes
from processing.unit_day import unit_day
from processing.verdict import Gap, Verdict, verdict

Placed = tuple[Report, At]


@dataclass(frozen=True, slots=True)
class Question:
    """What a pack is asked: the case, a district made ready, and how much of the day the pack holds.

    `now_us` is up to when a day that isn't over is judged; None: it is over.
    """

    core: Core
    case: Case
    whole_day: bool
    now_us: int | None

    @property
    def day_us(self) -> tuple[int, int]:
        """The instants at which the service day begins and ends."""
        zone = self.core.rules.day_start_s, self.core.rules.timezone
        day = self.case.service_day
        return day_start_us(day, *zone), day_start_us(day + timedelta(days=1), *zone)

    @property
    def seen_us(self) -> tuple[int, int]:
        """What has to be known of units to tell their silence: without shifts, also whether they went on."""
        beside_us = 0 if self.core.district.shifts else SHIFT_US
        return self.day_us[0] - beside_us, self.day_us[1] + beside_us

    @property
    def hold_us(self) -> int:
        """How long a status of the equipment holds."""
        return int(self.core.rules.equipment_hold_s_max * US)

    @property
    def just_swept_us(self) -> int:
        """The instant from which what was swept is fresh when the day begins."""
        return self.day_us[0] - int(self.core.rules.depth_gap_s * US)

    def windows(self) -> dict[str, tuple[int, int]]:
        """The windows whose figures are asked: the whole day, and the shift."""
        found = {"": self.day_us}
        for shift in self.core.district.shifts:
            if shift.shift_id == self.case.shift_id:
                found[shift.shift_id] = shift_window(self.core.rules, shift, self.case.service_day)
        return found

    def matters(self, one: Pass) -> bool:
        """Whether a pass is of the street and the day, or swept just before it."""
        if one.street_id != self.case.street_id:
            return False
        day = service_day(one.enter_us, self.core.rules.day_start_s, self.core.rules.timezone)
        if day == self.case.service_day:
            return True
        until_us = max((max(piece.from_us, piece.to_us) for piece in one.swept), default=None)
        fresh = until_us is not None and until_us >= self.just_swept_us
        return day == self.case.service_day - timedelta(days=1) and fresh

    def figures(self, passes: Sequence[Pass], shift_id: str = "") -> StreetDay:
        """The figures of the day or shift."""
        street = self.core.streets[self.case.street_id]
        reference = self.core.references[street.street_id]
        window_us = self.windows()[shift_id]
        day = self.case.service_day
        own = Passes.of(street.street_id, passes)
        return street_day(street, reference, day, street.work, own, self.core.rules, window_us)

    def is_needed(self, tracks: Iterable[TrackOf], report: Report) -> bool:
        """Whether a report is part of one of its unit's tracks, or of the day where that is asked."""
        if self.whole_day and report.kind == Kind.FIX and _within(report, *self.seen_us):
            return True
        before_us = self.hold_us if report.kind == Kind.EQUIPMENT else 0
        return any(track.start_us - before_us <= report.fix_time_us <= track.end_us for track in tracks)


def _within(report: Report, from_us: int, to_us: int) -> bool:
    return from_us <= report.fix_time_us < to_us


def judged(question: Question, figures: StreetDay, gaps: Sequence[Gap]) -> Verdict:
    """The word for the street and the day."""
    core, street = question.core, question.core.streets[question.case.street_id]
    return verdict(street, core.references[street.street_id], figures, gaps, core.rules)


def contents(
    question: Question,
    reports: Sequence[Placed],
    tracks: Sequence[TrackOf],
    passes: Sequence[Pass],
    gaps: Sequence[Gap],
    figures: Mapping[str, tuple[StreetDay, int, Verdict | None]],
) -> Contents:
    """The rows of all parts; `figures` by shift, with what is required and what is said of it."""
    core, case = question.core, question.case
    street = core.streets[case.street_id]
    reference = core.references[street.street_id]
    windows = question.windows()
    told = [
        decisions(Judged(street, reference, core.rules, windows[shift_id], passes, *figures[shift_id]))
        for shift_id in sorted(windows)
    ]
    return Contents(
        fixes=report_rows(reports, Kind.FIX),
        equipment=report_rows(reports, Kind.EQUIPMENT),
        tracks=track_rows(tracks),
        passes=pass_rows(passes),
        silences=silence_rows(gaps),
        figures=tuple(figure_row(figures[s][0], s, *figures[s][1:], core.rules) for s in sorted(figures)),
        decisions=tuple(
            {"shift_id": s, **row} for s, some in zip(sorted(windows), told, strict=True) for row in some
        ),
    )


def recompute(question: Question, records: Iterable[Record], listed: Sequence[TrackOf]) -> Contents:
    """What follows from the raw records; of the tracks those that start where a listed one does."""
    by_unit = _reports(question, records, listed)
    tracks: list[TrackOf] = []
    passes: list[Pass] = []
    for unit_id, mine in by_unit.items():
        starts = [track for track in listed if track.unit_id == unit_id]
        for track, found in _tracks(question, unit_id, [report for report, _ in mine], starts):
            tracks.append(track)
            passes += [one for one in found if question.matters(one)]
    gaps: list[Gap] = []
    if question.whole_day:
        gaps = _gaps(question, by_unit, tracks)
    figures: dict[str, tuple[StreetDay, int, Verdict | None]] = {}
    street = question.core.streets[question.case.street_id]
    for shift_id in question.windows():
        own = question.figures(passes, shift_id)
        word = None if shift_id else judged(question, own, gaps)
        figures[shift_id] = own, 0 if shift_id else street.required, word
    reports = [pair for mine in by_unit.values() for pair in mine]
    return contents(question, reports, tracks, passes, gaps, figures)


def _reports(
    question: Question, records: Iterable[Record], listed: Sequence[TrackOf]
) -> dict[str, list[Placed]]:
    """The needed reports of each unit in order of time, settled as the worker settles them."""
    directory = Directory.of(question.core.district)
    placed: dict[int, At] = {}
    decoded: list[Report] = []
    for record in records:
        if record.sent is None:
            continue
        found = decode(record.mqtt_topic, record.sent, record.received_us, directory).reports
        for element, report in enumerate(found):
            placed[id(report)] = At(record.log_id, record.partition, record.offset, element)
            decoded.append(report)
    by_unit: dict[str, list[TrackOf]] = defaultdict(list)
    for track in listed:
        by_unit[track.unit_id].append(track)
    needed: dict[str, list[Placed]] = {}
    for report in sorted(resolve({}, decoded).accepted, key=lambda r: (r.unit_id, r.fix_time_us, r.kind)):
        if question.is_needed(by_unit[report.unit_id], report):
            needed.setdefault(report.unit_id, []).append((report, placed[id(report)]))
    return needed


def _tracks(
    question: Question, unit_id: str, reports: Sequence[Report], listed: Sequence[TrackOf]
) -> Iterable[tuple[TrackOf, Sequence[Pass]]]:
    """Each listed track, made of its own fixes, and its passes."""
    columns = ReportColumns.of(reports)
    statuses = columns.kind == Kind.EQUIPMENT
    for one in listed:
        from_us = columns.fix_time_us >= one.start_us - question.hold_us
        own = (
            from_us & (columns.fix_time_us <= one.end_us) & (statuses | (columns.fix_time_us >= one.start_us))
        )
        for track in question.core.tracks(unit_id, columns.take(own), {}):
            if track.start_us == one.start_us:
                found = TrackOf(unit_id, track.start_us, track.end_us, track.fixes, track.suspected_datum)
                yield found, track.passes or ()


def _gaps(
    question: Question, by_unit: Mapping[str, Sequence[Placed]], tracks: Sequence[TrackOf]
) -> list[Gap]:
    core, case = question.core, question.case
    beside = timedelta(days=1)
    seen = [
        found
        for unit_id, mine in by_unit.items()
        for day in (case.service_day - beside, case.service_day, case.service_day + beside)
        if (found := _seen(core, unit_id, day, [report for report, _ in mine])) is not None
    ]
    suspects = [
        Suspect(t.unit_id, t.start_us, t.end_us, t.fixes, t.suspected_datum)
        for t in tracks
        if t.suspected_datum is not None
        and t.start_us < question.day_us[1]
        and t.end_us >= question.day_us[0]
    ]
    ground = Ground(core.district, core.projection)
    gaps = gaps_of_day(ground, case.service_day, seen, question.now_us, suspects)
    return gaps.get(core.streets[case.street_id].work, [])


def _seen(core: Core, unit_id: str, day: date, reports: Sequence[Report]) -> Seen | None:
    found = unit_day(core.units[unit_id], day, ReportColumns.of(reports), core.rules)
    if found is None:
        return None
    places = {one.fix_time_us: (one.lon, one.lat) for one in reports if one.kind == Kind.FIX}
    ends = *places[found.first_fix_us], *places[found.last_fix_us]
    return Seen(unit_id, day, found.first_fix_us, found.last_fix_us, found.gaps, *ends)
