"""When units weren't heard of, out of a batch of reports: what `swept analyze` needs for 'no data'.

The answer is the API's. With a district's folder it is known who is expected when, and for which work; without
one a unit is expected between its fixes, for whatever kind of work a street requires.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date

from processing.fix import Kind, Report, ReportColumns
from processing.pipeline import Core, Track
from processing.silence import Ground, Seen, Suspect, gaps_of_day
from processing.unit_day import UnitDay, unit_day
from processing.verdict import Gap

#: Gaps by service day and kind of work.
Silences = dict[date, dict[str, list[Gap]]]


def silences(
    core: Core, reports: Iterable[Report], tracks: Iterable[Track], days: Sequence[date], *, planned: bool
) -> Silences:
    """The gaps of the days; `reports` are the accepted ones, `planned` says that shifts and works are known."""
    by_unit: dict[str, list[Report]] = defaultdict(list)
    for report in reports:
        by_unit[report.unit_id].append(report)
    rows: list[Seen] = []
    for unit_id, mine in sorted(by_unit.items()):
        mine.sort(key=lambda one: (one.fix_time_us, one.kind))
        columns = ReportColumns.of(mine)
        found = (unit_day(core.units[unit_id], day, columns, core.rules) for day in days)
        places = {one.fix_time_us: (one.lon, one.lat) for one in mine if one.kind == Kind.FIX}
        rows += [_row(one, places) for one in found if one is not None]
    ground = Ground(core.district, core.projection)
    # Now is when the newest fix of each unit came in, as the store has it.
    newest: dict[str, Report] = {
        unit_id: max(fixes, key=lambda one: one.fix_time_us)
        for unit_id, mine in by_unit.items()
        if (fixes := [one for one in mine if one.kind == Kind.FIX])
    }
    now_us = max((one.received_us for one in newest.values()), default=None)
    suspects = suspects_of(tracks)
    gaps = {day: gaps_of_day(ground, day, rows, now_us, suspects) for day in days}
    return gaps if planned else {day: _for_any_work(core, found) for day, found in gaps.items()}


def suspects_of(tracks: Iterable[Track]) -> list[Suspect]:
    """The tracks that seem to be in another datum than their unit's, as the store has them."""
    return [
        Suspect(one.unit_id, one.start_us, one.end_us, one.fixes, one.suspected_datum)
        for one in tracks
        if one.suspected_datum is not None
    ]


def _row(found: UnitDay, places: dict[int, tuple[float, float]]) -> Seen:
    return Seen(
        found.unit_id,
        found.service_day,
        found.first_fix_us,
        found.last_fix_us,
        list(found.gaps),
        *places[found.first_fix_us],
        *places[found.last_fix_us],
    )


def _for_any_work(core: Core, gaps: dict[str, list[Gap]]) -> dict[str, list[Gap]]:
    together = [gap for work in sorted(gaps) for gap in gaps[work]]
    return dict.fromkeys({street.work for street in core.district.streets}, together)
