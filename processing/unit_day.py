"""What a unit did on a day: how long it worked, how far it drove, when it wasn't heard of, and its equipment.

A fix's own word on a piece of equipment comes first; where it has none, the last status on the equipment's
own topic holds, for a bounded time. Then nobody knows, which is not the same as off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.district import Unit
from processing.fix import EQUIPMENT, ON, UNKNOWN, Kind, ReportColumns
from processing.geodesy import LocalProjection
from processing.rules import Rules
from processing.service_day import US, day_start_us
from processing.track import working_states

#: Slower than this a unit stands, and what its fixes move is noise.
STANDING_KMH_MAX = 0.5
#: A level that turns by less than this is a sensor that wavers, or a load that sways.
LEVEL_TURN_PCT_MIN = 5.0
HOUR_US = 3_600 * US
_KMH_PER_M_S = 3.6


@dataclass(frozen=True, slots=True)
class EquipmentInterval:
    """A time in which a piece of equipment was ON, OFF or UNKNOWN."""

    unit_id: str
    equipment: str
    state: int
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True)
class UnitHour:
    """What of a unit's service day lies in one hour of UTC; a join counts in the hour of its later fix.

    `water_used_pct` and `hopper_filled_pct` are in percent of the tank and the hopper; None: not told.
    """

    hour_us: int
    fixes: int
    driven_m: float
    working_m: float
    working_s: float
    water_used_pct: float | None
    hopper_filled_pct: float | None


@dataclass(frozen=True, slots=True)
class UnitDay:
    """A unit's service day.

    `working_s`, `driven_m` and `working_m` (driven while working) are of the joins between fixes that are no
    holes; the `hours` add up to them. `gaps` are those longer than
    `join_s_max`: (from_us, to_us, from_lon, from_lat, to_lon, to_lat), WGS-84 degrees.
    """

    unit_id: str
    service_day: date
    fixes: int
    first_fix_us: int
    last_fix_us: int
    working_s: float
    driven_m: float
    gaps: tuple[tuple[int, int, float, float, float, float], ...]
    working_m: float
    hours: tuple[UnitHour, ...]


def unit_day(unit: Unit, service_day: date, reports: ReportColumns, rules: Rules) -> UnitDay | None:
    """The unit's day, or None without a fix in it.

    `reports` are of this unit, and may begin earlier: a status that holds comes from before.
    """
    start_us = day_start_us(service_day, rules.day_start_s, rules.timezone)
    end_us = day_start_us(service_day + timedelta(days=1), rules.day_start_s, rules.timezone)
    _, working = working_states(reports, unit.profile, rules)
    inside = (reports.fix_time_us >= start_us) & (reports.fix_time_us < end_us)
    mine = np.flatnonzero(inside & (reports.kind == Kind.FIX))
    if not len(mine):
        return None
    fixes, working = reports.take(mine), working[mine]
    elapsed_s, distance_m, speed_kmh = _joins(fixes)
    profile = unit.profile
    known = (elapsed_s <= rules.join_s_max) & (distance_m * _KMH_PER_M_S <= elapsed_s * profile.top_speed_kmh)
    # Where two neighbours disagree the change lies half way.
    share = ((working[:-1] == ON) * 0.5 + (working[1:] == ON) * 0.5) * known
    share *= (speed_kmh > profile.work_kmh_min) & (speed_kmh <= profile.work_kmh_max)
    driven_m = np.where(known & (speed_kmh > STANDING_KMH_MAX), distance_m, 0.0)
    worked_m, worked_s = driven_m * share, elapsed_s * share
    return UnitDay(
        unit_id=unit.unit_id,
        service_day=service_day,
        fixes=len(fixes),
        first_fix_us=int(fixes.fix_time_us[0]),
        last_fix_us=int(fixes.fix_time_us[-1]),
        working_s=round(float(worked_s.sum()), 3),
        driven_m=round(float(driven_m.sum()), 3),
        gaps=tuple(_gaps(fixes, np.flatnonzero(elapsed_s > rules.join_s_max))),
        working_m=round(float(worked_m.sum()), 3),
        hours=tuple(_hours(fixes, driven_m, worked_m, worked_s, reports.take(inside))),
    )


def _hours(
    fixes: ReportColumns,
    driven_m: NDArray[np.float64],
    worked_m: NDArray[np.float64],
    worked_s: NDArray[np.float64],
    told: ReportColumns,
) -> Iterator[UnitHour]:
    """The hours in which something was told, from what each join has and what each report tells of levels."""
    hopper_pct, water_pct = told.levels.T
    used_pct, filled_pct = _falls(water_pct), _falls(100.0 - hopper_pct)
    of_fix, of_report = fixes.fix_time_us // HOUR_US, told.fix_time_us // HOUR_US
    for hour in np.unique(of_report):
        joins, reports = of_fix[1:] == hour, of_report == hour
        driven, worked, seconds = (float(one[joins].sum()) for one in (driven_m, worked_m, worked_s))
        yield UnitHour(
            hour_us=int(hour * HOUR_US),
            fixes=int((of_fix == hour).sum()),
            driven_m=round(driven, 3),
            working_m=round(worked, 3),
            working_s=round(seconds, 3),
            water_used_pct=_sum_or_none(used_pct[reports]),
            hopper_filled_pct=_sum_or_none(filled_pct[reports]),
        )


def _sum_or_none(values: NDArray[np.float64]) -> float | None:
    return None if np.isnan(values).all() else round(float(np.nansum(values)), 2)


def _falls(level_pct: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much the level fell with each report, NaN where that tells none; a refill is no fall."""
    told = np.flatnonzero(~np.isnan(level_pct))
    found = np.full(len(level_pct), np.nan)
    found[told] = _falls_of(level_pct[told])
    return found


@njit(cache=True, nogil=True)
def _falls_of(level_pct: NDArray[np.float64]) -> NDArray[np.float64]:
    fall = np.zeros(len(level_pct))
    falling = True
    extreme = level_pct[0] if len(level_pct) else 0.0
    for i in range(1, len(level_pct)):
        level = level_pct[i]
        if falling:
            if level < extreme:
                fall[i] = extreme - level
                extreme = level
            elif level > extreme + LEVEL_TURN_PCT_MIN:
                falling, extreme = False, level
        elif level > extreme:
            extreme = level
        elif level < extreme - LEVEL_TURN_PCT_MIN:
            fall[i] = extreme - level
            falling, extreme = True, level
    return fall


def _joins(fixes: ReportColumns) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Seconds, metres and km/h between neighbours; the speed is the mean of what they report, if they do."""
    x_m, y_m = LocalProjection(float(fixes.lon[0]), float(fixes.lat[0])).to_xy(fixes.lon, fixes.lat)
    elapsed_s = np.diff(fixes.fix_time_us) / US
    distance_m = np.hypot(np.diff(x_m), np.diff(y_m))
    before, after = fixes.speed_kmh[:-1], fixes.speed_kmh[1:]
    told = np.where(np.isnan(before), after, np.where(np.isnan(after), before, (before + after) / 2.0))
    return elapsed_s, distance_m, np.where(np.isnan(told), distance_m / elapsed_s * _KMH_PER_M_S, told)


def _gaps(
    fixes: ReportColumns, at: NDArray[np.int64]
) -> Iterator[tuple[int, int, float, float, float, float]]:
    for i in at:
        places = (fixes.lon[i], fixes.lat[i], fixes.lon[i + 1], fixes.lat[i + 1])
        from_lon, from_lat, to_lon, to_lat = map(float, places)
        yield int(fixes.fix_time_us[i]), int(fixes.fix_time_us[i + 1]), from_lon, from_lat, to_lon, to_lat


def equipment_intervals(unit_id: str, reports: ReportColumns, rules: Rules) -> tuple[EquipmentInterval, ...]:
    """When each piece of equipment was in which state, from the first report to the last.

    Neighbouring intervals differ in their state. Equipment that nobody ever told of has none.
    """
    hold_us = round(rules.equipment_hold_s_max * US)
    return tuple(
        EquipmentInterval(unit_id, equipment, int(state), int(from_us), int(to_us))
        for column, equipment in enumerate(EQUIPMENT)
        if (reports.equipment[:, column] != UNKNOWN).any()
        for state, from_us, to_us in zip(*_states(reports, column, hold_us), strict=True)
    )


def _states(
    reports: ReportColumns, column: int, hold_us: int
) -> tuple[NDArray[np.int8], NDArray[np.int64], NDArray[np.int64]]:
    """State, from_us and to_us of the intervals of one piece of equipment, one after the other."""
    times, own = reports.fix_time_us, reports.equipment[:, column]
    index, alone = np.arange(len(reports)), reports.kind == Kind.EQUIPMENT
    last_alone = np.maximum.accumulate(np.where(alone, index, -1))
    source = np.where((own != UNKNOWN) | alone, index, last_alone)
    state = np.where(source >= 0, own[source], UNKNOWN)[:-1]
    until = np.clip((times[source] + hold_us)[:-1], times[:-1], times[1:])
    # Between two reports: what was told, and then, once it no longer holds, unknown.
    states = np.column_stack([state, np.full_like(state, UNKNOWN)]).ravel()
    starts = np.column_stack([times[:-1], until]).ravel()
    ends = np.column_stack([until, times[1:]]).ravel()
    some = starts < ends
    states, starts, ends = states[some], starts[some], ends[some]
    first = np.ones(len(states), dtype=bool)
    first[1:] = states[1:] != states[:-1]
    return states[first], starts[first], ends[np.append(first[1:], True)[: len(first)]]
