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
def _starts(
    time_us: NDArray[np.int64],
    x_m: NDArray[np.float64],
    y_m: NDArray[np.float64],
    gap_s_max: float,
    stay_radius_m: float,
    stay_s: float,
    track_s_max: float,
) -> NDArray[np.int64]:
    starts = np.zeros(len(time_us), dtype=np.int64)
    found, start, anchor, ended = 0, 0, 0, True
    for i in range(len(time_us)):
        if (
            ended
            or (time_us[i] - time_us[i - 1]) * 1e-6 > gap_s_max
            or (time_us[i] - time_us[start]) * 1e-6 > track_s_max
        ):
            starts[found] = i
            found += 1
            start, anchor, ended = i, i, False
        elif math.hypot(x_m[i] - x_m[anchor], y_m[i] - y_m[anchor]) > stay_radius_m:
            anchor = i
        elif (time_us[i] - time_us[anchor]) * 1e-6 >= stay_s:
            ended = True
    return starts[:found]


def track_starts(
    time_us: NDArray[np.int64], x_m: NDArray[np.float64], y_m: NDArray[np.float64], rules: Rules
) -> NDArray[np.int64]:
    """Indexes (k,) at which tracks begin, given fixes (n,) in order of time; the first is 0."""
    return _starts(
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
    n = len(reports)
    held = np.full((n, len(EQUIPMENT)), UNKNOWN, dtype=np.int8)
    hold_us = int(rules.equipment_hold_s_max * 1e6)
    alone = reports.kind == Kind.EQUIPMENT
    index = np.arange(n)
    last = np.maximum.accumulate(np.where(alone, index, -1))
    for column in range(len(EQUIPMENT)):
        told = np.where(alone & (reports.equipment[:, column] != UNKNOWN), index, -1)
        latest = np.maximum.accumulate(told)
        known = (latest >= 0) & (reports.fix_time_us - reports.fix_time_us[latest] <= hold_us)
        # Null in the next status says unknown, it doesn't repeat the one before.
        known &= latest == last
        held[known, column] = reports.equipment[latest[known], column]
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
