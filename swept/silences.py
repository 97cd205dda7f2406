"""When units weren't heard of, out of a batch of reports: what `swept analyze` needs for 'no data'.

With a district's folder it is known who is expected when, and the answer is the API's. Without one a unit is
expected between its first and its last fix of a day, for whatever kind of work a street requires.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date

from api.context import Context
from api.verdicts import gaps_of_day
from processing.district import Unit
from processing.fix import Kind, Report, ReportColumns
from processing.pipeline import Core
from processing.unit_day import UnitDay, unit_day
from processing.verdict import Gap
from storage.pool import Pool
from storage.queries.unit_days import UnitDayRow

#: Gaps by service day and kind of work.
Silences = dict[date, dict[str, list[Gap]]]


def silences(core: Core, reports: Iterable[Report], days: Sequence[date], *, planned: bool) -> Silences:
    """The gaps of the days; `reports` are the accepted ones, `planned` says that shifts and works are known."""
    by_unit: dict[str, list[Report]] = defaultdict(list)
    for report in reports:
        by_unit[report.unit_id].append(report)
    for rows in by_unit.values():
        rows.sort(key=lambda one: (one.fix_time_us, one.kind))
    seen = [
        (found, by_unit[unit_id])
        for unit_id in sorted(by_unit)
        for day in days
        if (found := _day(core, unit_id, day, by_unit[unit_id])) is not None
    ]
    return _planned(core, seen, by_unit, days) if planned else _between(core, seen, days)


def _day(core: Core, unit_id: str, day: date, reports: list[Report]) -> UnitDay | None:
    return unit_day(core.units[unit_id], day, ReportColumns.of(reports), core.rules)


def _planned(
    core: Core,
    seen: Sequence[tuple[UnitDay, list[Report]]],
    by_unit: dict[str, list[Report]],
    days: Sequence[date],
) -> Silences:
    """As the API says it: in their shifts, until the newest fix came in."""
    context = Context(core.district, core.references, core.projection, Pool("", 0))
    last = [
        max((r for r in rows if r.kind == Kind.FIX), key=_time, default=None) for rows in by_unit.values()
    ]
    now_us = max((one.received_us for one in last if one is not None), default=None)
    rows = [_row(found, reports) for found, reports in seen]
    return {day: gaps_of_day(context, day, rows, now_us) for day in days}


def _row(found: UnitDay, reports: list[Report]) -> UnitDayRow:
    places = {one.fix_time_us: (one.lon, one.lat) for one in reports if one.kind == Kind.FIX}
    return UnitDayRow(
        found.unit_id,
        found.service_day,
        found.fixes,
        found.first_fix_us,
        found.last_fix_us,
        found.working_s,
        found.driven_m,
        list(found.gaps),
        *places[found.first_fix_us],
        *places[found.last_fix_us],
    )


def _between(core: Core, seen: Sequence[tuple[UnitDay, list[Report]]], days: Sequence[date]) -> Silences:
    works = {street.work for street in core.district.streets}
    gaps: dict[date, list[Gap]] = {day: [] for day in days}
    for found, _ in seen:
        gaps[found.service_day] += [_gap(core, core.units[found.unit_id], *one) for one in found.gaps]
    return {day: dict.fromkeys(works, gaps[day]) for day in days}


def _gap(
    core: Core, unit: Unit, from_us: int, to_us: int, lon: float, lat: float, to_lon: float, to_lat: float
) -> Gap:
    def xy(lon: float, lat: float) -> tuple[float, float]:
        x_m, y_m = core.projection.to_xy(lon, lat)
        return float(x_m), float(y_m)

    profile = unit.profile
    before, after = xy(lon, lat), xy(to_lon, to_lat)
    return Gap(unit.unit_id, from_us, to_us, before, after, profile.top_speed_kmh, profile.work_kmh_max)


def _time(report: Report) -> int:
    return report.fix_time_us
