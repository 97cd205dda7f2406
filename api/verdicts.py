"""The silence of expected units, which decides between 'not swept' and 'no data'."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from api.context import Context
from processing.district import Shift, Unit
from processing.service_day import US, day_start_us
from processing.verdict import Gap
from storage.queries.unit_days import UnitDayRow

Window = tuple[int, int]
Place = tuple[float | None, float | None]
NOWHERE: Place = (None, None)


def gaps_of_day(
    context: Context, day: date, rows: Sequence[UnitDayRow], now_us: int | None
) -> dict[str, list[Gap]]:
    """By kind of work: when units that were expected that day were not heard of in their shift.

    What is still to come of a shift is no gap. Without a roster those are expected that reported.
    """
    reported = {row.unit_id: row for row in rows if row.service_day == day}
    found: dict[str, list[Gap]] = {}
    for unit, window in _expected(context, day, set(reported)):
        from_us, to_us = window[0], window[1] if now_us is None else min(window[1], now_us)
        if from_us < to_us:
            gaps = _gaps(context, unit, reported.get(unit.unit_id), (from_us, to_us))
            found.setdefault(unit.profile.work, []).extend(gaps)
    return found


def _expected(context: Context, day: date, reported: set[str]) -> list[tuple[Unit, Window]]:
    district, units = context.district, context.units
    if not district.shifts:
        return [(units[u], context.day_us(day)) for u in sorted(reported & units.keys())]
    expected = []
    for shift in district.shifts:
        unit_ids = district.roster.get(shift.shift_id, ()) if district.roster else sorted(reported)
        window = shift_window(context, shift, day)
        expected += [(units[unit_id], window) for unit_id in unit_ids if unit_id in units]
    return expected


def shift_window(context: Context, shift: Shift, day: date) -> Window:
    """The instants at which a shift begins and ends in a service day."""
    rules = context.district.rules
    # A shift before the day's own start belongs to the next calendar day.
    calendar = day if shift.start_s >= rules.day_start_s else day + timedelta(days=1)
    from_us = day_start_us(calendar, shift.start_s, rules.timezone)
    to_us = day_start_us(calendar, shift.end_s, rules.timezone)
    return from_us, min(to_us, context.day_us(day)[1])


def _gaps(context: Context, unit: Unit, row: UnitDayRow | None, window: Window) -> list[Gap]:
    from_us, to_us = window
    profile = unit.profile

    def gap(first_us: int, last_us: int, before: Place, after: Place) -> Gap:
        ends = (_xy(context, before), _xy(context, after))
        return Gap(unit.unit_id, first_us, last_us, *ends, profile.top_speed_kmh, profile.work_kmh_max)

    if row is None or row.last_fix_us < from_us or row.first_fix_us > to_us:
        return [gap(from_us, to_us, NOWHERE, NOWHERE)]
    silent = [
        gap(from_us, row.first_fix_us, NOWHERE, (row.first_lon, row.first_lat)),
        *(gap(g[0], g[1], (g[2], g[3]), (g[4], g[5])) for g in row.gaps if g[1] > from_us and g[0] < to_us),
        gap(row.last_fix_us, to_us, (row.last_lon, row.last_lat), NOWHERE),
    ]
    shortest_us = int(context.district.rules.join_s_max * US)
    return [one for one in silent if one.to_us - one.from_us > shortest_us]


def _xy(context: Context, place: Place) -> tuple[float, float] | None:
    lon, lat = place
    if lon is None or lat is None:
        return None
    x_m, y_m = context.projection.to_xy(lon, lat)
    return float(x_m), float(y_m)
