"""Tracks: the longest runs of a unit's fixes with no gap, no long stay, and no more than a day.

A decision looks back only, so a track's start never changes unless a fix before it does.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.district import UnitProfile
from processing.fix import EQUIPMENT, OFF, ON, UNKNOWN, Kind, ReportColumns
from processing.rules import Rules


@njit(cache=True, nogil=True)
def _bounds(
    time_us: NDArray[np.int64],
    x_m: NDArray[np.float64],
    y_m: NDArray[np.float64],
    gap_s_max: float,
    stay_radius_m: float,
    stay_s: float,
    track_s_max: float,
) -> NDArray[np.int64]:
    bounds = np.zeros((len(time_us), 2), dtype=np.int64)
    found, start, anchor = 0, 0, 0
    for i in range(1, len(time_us)):
        if (time_us[i] - time_us[i - 1]) * 1e-6 > gap_s_max:
            bounds[found, 0], bounds[found, 1] = start, i
            found += 1
            start, anchor = i, i
            continue
        if (time_us[i] - time_us[start]) * 1e-6 > track_s_max:
            bounds[found, 0], bounds[found, 1] = start, i
            found += 1
            start, anchor = i - 1, i - 1
        if math.hypot(x_m[i] - x_m[anchor], y_m[i] - y_m[anchor]) > stay_radius_m:
            anchor = i
        elif (time_us[i] - time_us[anchor]) * 1e-6 >= stay_s:
            bounds[found, 0], bounds[found, 1] = start, i + 1
            found += 1
            start, anchor = i, i
    if len(time_us) > 0:
        bounds[found, 0], bounds[found, 1] = start, len(time_us)
        found += 1
    return bounds[:found]


def track_bounds(
    time_us: NDArray[np.int64], x_m: NDArray[np.float64], y_m: NDArray[np.float64], rules: Rules
) -> NDArray[np.int64]:
    """Indexes (k, 2) from and to (past the last) of each track, given fixes (n,) in order of time.

    Where no gap parts two tracks the fix that ends one starts the next, so that no metre between them is
    lost.
    """
    return _bounds(
        time_us, x_m, y_m, rules.track_gap_s_max, rules.stay_radius_m, rules.stay_s, rules.track_s_max
    )


def working_states(
    reports: ReportColumns, profile: UnitProfile, rules: Rules
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Working (ON, OFF, UNKNOWN) at each report: (of the equipment told last, as the fix itself says).

    A status that was reported on its own holds until the next, `equipment_hold_s_max` at most. What a fix
    says itself comes first. The first array is what holds right after each equipment report.
    """
    held = _hold(reports, rules)
    own = np.where(reports.equipment == UNKNOWN, held, reports.equipment)
    return _combine(held, profile), _combine(own, profile)


def _hold(reports: ReportColumns, rules: Rules) -> NDArray[np.int8]:
    """The equipment (n, 5) as told last by reports of the equipment alone."""
    held = np.full((len(reports), len(EQUIPMENT)), UNKNOWN, dtype=np.int8)
    told = np.flatnonzero(reports.kind == Kind.EQUIPMENT)
    if not len(told):
        return held
    # Of a fix and a status of one instant the status is what holds then.
    last = np.searchsorted(reports.fix_time_us[told], reports.fix_time_us, side="right") - 1
    row = told[np.maximum(last, 0)]
    age_us = reports.fix_time_us - reports.fix_time_us[row]
    holds = (last >= 0) & (age_us <= int(rules.equipment_hold_s_max * 1e6))
    held[holds] = reports.equipment[row[holds]]
    return held


def _combine(equipment: NDArray[np.int8], profile: UnitProfile) -> NDArray[np.int8]:
    """One state of working from the equipment (n, 5) that the profile names."""
    columns = [EQUIPMENT.index(name) for name in profile.working_when]
    wanted = equipment[:, columns]
    state = np.full(len(equipment), UNKNOWN, dtype=np.int8)
    state[(wanted == ON).all(axis=1)] = ON
    state[(wanted == OFF).any(axis=1)] = OFF
    told = equipment[:, EQUIPMENT.index("working")]
    return np.where(told == UNKNOWN, state, told).astype(np.int8)
