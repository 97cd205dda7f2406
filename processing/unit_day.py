"""What a unit did on a day: how long it worked, how far it drove, when it wasn't heard of, and its equipment.

A fix's own word on a piece of equipment comes first; where it has none, the last status on the equipment's
own topic holds, for a bounded time. Then nobody knows, which is not the same as off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from processing.district import Unit
from processing.fix import EQUIPMENT, ON, UNKNOWN, Kind, ReportColumns
from processing.geodesy import LocalProjection
from processing.rules import Rules
from processing.service_day import US, day_start_us
from processing.track import working_states

#: Slower than this a unit stands, and what its fixes move is noise.
STANDING_KMH_MAX = 0.5
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
class UnitDay:
    """A unit's service day.

    `working_s` and `driven_m` are of the joins between fixes that are no holes. `gaps` are those longer than
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
    return UnitDay(
        unit_id=unit.unit_id,
        service_day=service_day,
        fixes=len(fixes),
        first_fix_us=int(fixes.fix_time_us[0]),
        last_fix_us=int(fixes.fix_time_us[-1]),
        working_s=round(float((elapsed_s * share).sum()), 3),
        driven_m=round(float(distance_m[known & (speed_kmh > STANDING_KMH_MAX)].sum()), 3),
        gaps=tuple(_gaps(fixes, np.flatnonzero(elapsed_s > rules.join_s_max))),
    )


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
