"""What a unit did on a day: how long it worked, how far it drove, and when it wasn't heard of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.district import Unit
from processing.fix import ON, Kind, ReportColumns
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
_FIX = int(Kind.FIX)

_LEVEL = np.dtype([("told", "?"), ("falling", "?"), ("extreme", "f8")], align=True)
#: An hour so far; `levels` are what was used of the water, and filled of the hopper.
_HOUR = np.dtype(
    [
        ("hour_us", "i8"),
        ("fixes", "i8"),
        ("driven_m", "f8"),
        ("working_m", "f8"),
        ("working_s", "f8"),
        ("levels", "f8", (2,)),
        ("levels_told", "i1", (2,)),
    ],
    align=True,
)
#: A day so far: its sums, its plane, and its last fix.
_DAY = np.dtype(
    [
        ("begun", "?"),
        ("fixes", "i8"),
        ("first_us", "i8"),
        ("driven_m", "f8"),
        ("working_m", "f8"),
        ("working_s", "f8"),
        ("lon0_deg", "f8"),
        ("lat0_deg", "f8"),
        ("x_m_per_deg", "f8"),
        ("y_m_per_deg", "f8"),
        ("last_us", "i8"),
        ("lon", "f8"),
        ("lat", "f8"),
        ("x_m", "f8"),
        ("y_m", "f8"),
        ("speed_kmh", "f8"),
        ("working", "i8"),
    ],
    align=True,
)


class _State(NamedTuple):
    """A day (1,), its last hour (1,), and the levels of water and hopper (2,)."""

    day: NDArray[np.void]
    hour: NDArray[np.void]
    levels: NDArray[np.void]


class _Told(NamedTuple):
    """Reports (n,) of a day, and whether the unit worked at each."""

    time_us: NDArray[np.int64]
    kind: NDArray[np.int8]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    speed_kmh: NDArray[np.float64]
    working: NDArray[np.int8]
    levels: NDArray[np.float64]


class _Limits(NamedTuple):
    join_s_max: float
    top_speed_kmh: float
    work_kmh_min: float
    work_kmh_max: float


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


class GrowingDay:
    """A unit's service day as its reports come, in order of time, each once: what it holds doesn't grow.

    Sums are taken fix by fix, so that they are the same whatever comes together.
    """

    def __init__(self, unit: Unit, service_day: date, rules: Rules) -> None:
        self.service_day = service_day
        self.start_us = day_start_us(service_day, rules.day_start_s, rules.timezone)
        self.end_us = day_start_us(service_day + timedelta(days=1), rules.day_start_s, rules.timezone)
        self._unit = unit
        self._rules = rules
        self._state = _State(np.zeros(1, _DAY), np.zeros(1, _HOUR), np.zeros(2, _LEVEL))
        self._gaps: list[tuple[int, int, float, float, float, float]] = []
        self._hours: list[UnitHour] = []
        self._status: ReportColumns | None = None

    @property
    def nbytes(self) -> int:
        """What it takes, about."""
        return 4_096 + 512 * (len(self._gaps) + len(self._hours))

    def take(self, reports: ReportColumns) -> UnitDay | None:
        """The day with these reports too, or None while it is without a fix.

        Of reports before the day only a status that still holds counts.
        """
        told = reports if self._status is None else self._status.merge(reports)
        _, working = working_states(told, self._unit.profile, self._rules)
        alone = np.flatnonzero(reports.kind == Kind.EQUIPMENT)
        self._status = reports.take(alone[-1:]) if len(alone) else self._status
        low, high = np.searchsorted(reports.fix_time_us, [self.start_us, self.end_us])
        mine = reports.take(slice(low, high))
        working = working[len(working) - len(reports) :][low:high]
        self._project(mine)
        profile, rules = self._unit.profile, self._rules
        limits = _Limits(rules.join_s_max, profile.top_speed_kmh, profile.work_kmh_min, profile.work_kmh_max)
        hours = np.empty(len(mine) + 1, dtype=_HOUR)
        gaps = np.empty((len(mine), 6))
        hour_count, gap_count = _take(
            self._state,
            _Told(mine.fix_time_us, mine.kind, mine.lon, mine.lat, mine.speed_kmh, working, mine.levels),
            limits,
            hours,
            gaps,
        )
        self._gaps += [(int(row[0]), int(row[1]), *row[2:]) for row in gaps[:gap_count].tolist()]
        if hour_count:
            fresh = [_unit_hour(row) for row in hours[:hour_count]]
            if self._hours and self._hours[-1].hour_us == fresh[0].hour_us:
                self._hours.pop()
            self._hours += fresh
        return self.figures()

    def figures(self) -> UnitDay | None:
        """The day so far."""
        state = self._state.day[0]
        if not state["fixes"]:
            return None
        return UnitDay(
            unit_id=self._unit.unit_id,
            service_day=self.service_day,
            fixes=int(state["fixes"]),
            first_fix_us=int(state["first_us"]),
            last_fix_us=int(state["last_us"]),
            working_s=round(float(state["working_s"]), 3),
            driven_m=round(float(state["driven_m"]), 3),
            gaps=tuple(self._gaps),
            working_m=round(float(state["working_m"]), 3),
            hours=tuple(self._hours),
        )

    def _project(self, reports: ReportColumns) -> None:
        """The plane touches the earth at the day's first fix."""
        state = self._state.day[0]
        if state["x_m_per_deg"] == 0.0 and len(first := np.flatnonzero(reports.kind == Kind.FIX)):
            plane = LocalProjection(float(reports.lon[first[0]]), float(reports.lat[first[0]]))
            state["lon0_deg"], state["lat0_deg"] = plane.lon0_deg, plane.lat0_deg
            state["x_m_per_deg"], state["y_m_per_deg"] = plane.x_m_per_deg, plane.y_m_per_deg


def unit_day(unit: Unit, service_day: date, reports: ReportColumns, rules: Rules) -> UnitDay | None:
    """The unit's day, or None without a fix in it.

    `reports` are of this unit, and may begin earlier: a status that holds comes from before.
    """
    return GrowingDay(unit, service_day, rules).take(reports)


def _unit_hour(row: np.void) -> UnitHour:
    used, filled = (round(float(row["levels"][n]), 2) if row["levels_told"][n] else None for n in (0, 1))
    return UnitHour(
        hour_us=int(row["hour_us"]),
        fixes=int(row["fixes"]),
        driven_m=round(float(row["driven_m"]), 3),
        working_m=round(float(row["working_m"]), 3),
        working_s=round(float(row["working_s"]), 3),
        water_used_pct=used,
        hopper_filled_pct=filled,
    )


@njit(cache=True, nogil=True)
def _take(
    state: _State,
    told: _Told,
    limits: _Limits,
    hours: NDArray[np.void],
    gaps: NDArray[np.float64],
) -> tuple[int, int]:
    """Take reports of the day; how many hours, and gaps, they end or go on with."""
    day, hour = state.day[0], state.hour[0]
    hour_count, gap_count = 0, 0
    for i in range(len(told.time_us)):
        at_us = told.time_us[i]
        hour_us = at_us // HOUR_US * HOUR_US
        if not day.begun or hour.hour_us != hour_us:
            if day.begun:
                hours[hour_count] = hour
                hour_count += 1
            day.begun = True
            hour.hour_us, hour.fixes = hour_us, 0
            hour.driven_m, hour.working_m, hour.working_s = 0.0, 0.0, 0.0
            hour.levels[:], hour.levels_told[:] = 0.0, 0
        for n in range(2):
            # What the water falls by was used; the hopper is filled by what the room in it falls by.
            level = told.levels[i, 1] if n == 0 else 100.0 - told.levels[i, 0]
            if not math.isnan(level):
                hour.levels[n] += _fall(state.levels, n, level)
                hour.levels_told[n] = 1
        if told.kind[i] != _FIX:
            continue
        x_m = (told.lon[i] - day.lon0_deg) * day.x_m_per_deg
        y_m = (told.lat[i] - day.lat0_deg) * day.y_m_per_deg
        if day.fixes == 0:
            day.first_us = at_us
        else:
            elapsed_s = (at_us - day.last_us) / 1e6
            if elapsed_s > limits.join_s_max:
                gaps[gap_count, 0], gaps[gap_count, 1] = day.last_us, at_us
                gaps[gap_count, 2], gaps[gap_count, 3] = day.lon, day.lat
                gaps[gap_count, 4], gaps[gap_count, 5] = told.lon[i], told.lat[i]
                gap_count += 1
            driven_m = math.hypot(x_m - day.x_m, y_m - day.y_m)
            if elapsed_s <= limits.join_s_max and driven_m * _KMH_PER_M_S <= elapsed_s * limits.top_speed_kmh:
                _join(state, elapsed_s, driven_m, told.speed_kmh[i], told.working[i], limits)
        day.fixes += 1
        hour.fixes += 1
        day.last_us, day.lon, day.lat, day.x_m, day.y_m = at_us, told.lon[i], told.lat[i], x_m, y_m
        day.speed_kmh, day.working = told.speed_kmh[i], told.working[i]
    if len(told.time_us) > 0:
        hours[hour_count] = hour
        hour_count += 1
    return hour_count, gap_count


@njit(cache=True, nogil=True)
def _join(
    state: _State,
    elapsed_s: float,
    distance_m: float,
    after_kmh: float,
    working: int,
    limits: _Limits,
) -> None:
    """Add a join that is no hole; its speed is the mean of what its ends report, if they do."""
    day, hour = state.day[0], state.hour[0]
    before_kmh = day.speed_kmh
    if math.isnan(before_kmh) and math.isnan(after_kmh):
        speed_kmh = distance_m / elapsed_s * _KMH_PER_M_S
    elif math.isnan(before_kmh) or math.isnan(after_kmh):
        speed_kmh = after_kmh if math.isnan(before_kmh) else before_kmh
    else:
        speed_kmh = (before_kmh + after_kmh) / 2.0
    driven_m = distance_m if speed_kmh > STANDING_KMH_MAX else 0.0
    # Where two neighbours disagree the change lies half way.
    share = 0.5 * (day.working == ON) + 0.5 * (working == ON)
    if not limits.work_kmh_min < speed_kmh <= limits.work_kmh_max:
        share = 0.0
    day.driven_m += driven_m
    hour.driven_m += driven_m
    day.working_m += driven_m * share
    hour.working_m += driven_m * share
    day.working_s += elapsed_s * share
    hour.working_s += elapsed_s * share


@njit(cache=True, nogil=True)
def _fall(levels: NDArray[np.void], n: int, level: float) -> float:
    """By how much a level fell with a report; a refill is no fall."""
    state = levels[n]
    extreme, fall = state.extreme, 0.0
    if not state.told:
        state.told, state.falling, state.extreme = True, True, level
    elif state.falling:
        if level < extreme:
            fall = extreme - level
            state.extreme = level
        elif level > extreme + LEVEL_TURN_PCT_MIN:
            state.falling, state.extreme = False, level
    elif level > extreme:
        state.extreme = level
    elif level < extreme - LEVEL_TURN_PCT_MIN:
        fall = extreme - level
        state.falling, state.extreme = True, level
    return fall
