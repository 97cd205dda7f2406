"""Tracks: the longest runs of a unit's fixes with no gap, no long stay, and no more than a day.

A decision looks back only, so a track's start never changes unless a fix before it does.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.district import UnitProfile
from processing.fix import EQUIPMENT, OFF, ON, UNKNOWN, Kind, ReportColumns
from processing.rules import Rules

_ALONE = int(Kind.EQUIPMENT)
_WORKING = EQUIPMENT.index("working")


#: A track that may go on: when it began and was last heard of, and where and when the unit began to stay.
_STAY = np.dtype([("start_us", "i8"), ("last_us", "i8"), ("anchor_us", "i8"), ("x_m", "f8"), ("y_m", "f8")])
#: What a fix does to the track before it: it goes on, or it ended by a gap, by its length, or by a stay.
_ON, _GAP, _LONG, _STAYED = 0, 1, 2, 3


class _Limits(NamedTuple):
    gap_s_max: float
    stay_radius_m: float
    stay_s: float
    track_s_max: float


def _limits(rules: Rules) -> _Limits:
    return _Limits(rules.track_gap_s_max, rules.stay_radius_m, rules.stay_s, rules.track_s_max)


def track_bounds(
    time_us: NDArray[np.int64], x_m: NDArray[np.float64], y_m: NDArray[np.float64], rules: Rules
) -> NDArray[np.int64]:
    """Indexes (k, 2) from and to (past the last) of each track, given fixes (n,) in order of time.

    Where no gap parts two tracks the fix that ends one starts the next, so that no metre between them is
    lost.
    """
    return _bounds(begin_stay(0), time_us, x_m, y_m, _limits(rules))


def begin_stay(start_us: int) -> NDArray[np.void]:
    """What `ending` knows of a track that begins."""
    return np.array([(start_us, start_us, start_us, np.inf, np.inf)], dtype=_STAY)


def ending(
    stay: NDArray[np.void],
    time_us: NDArray[np.int64],
    x_m: NDArray[np.float64],
    y_m: NDArray[np.float64],
    rules: Rules,
) -> tuple[int, int] | None:
    """Where a track's next fixes end it, as `track_bounds` would see it; `stay` is brought up to date.

    How many of them are still its own, and at which of them the next track starts (-1: at the one before);
    None where it goes on with all of them.
    """
    at, how = _ending(stay, time_us, x_m, y_m, _limits(rules))
    if how == _ON:
        return None
    return (at + 1 if how == _STAYED else at), (at - 1 if how == _LONG else at)


@njit(cache=True, nogil=True)
def _bounds(
    stay: NDArray[np.void],
    time_us: NDArray[np.int64],
    x_m: NDArray[np.float64],
    y_m: NDArray[np.float64],
    limits: _Limits,
) -> NDArray[np.int64]:
    bounds = np.zeros((len(time_us), 2), dtype=np.int64)
    here, found, start = stay[0], 0, 0
    for i in range(len(time_us)):
        if i == 0:
            _begin(here, time_us[0], x_m[0], y_m[0])
            continue
        how = _step(here, time_us[i], x_m[i], y_m[i], limits)
        if how in (_GAP, _LONG):
            bounds[found, 0], bounds[found, 1] = start, i
            found += 1
            start = i if how == _GAP else i - 1
            _begin(here, time_us[start], x_m[start], y_m[start])
            if how == _LONG:
                how = _step(here, time_us[i], x_m[i], y_m[i], limits)
        if how == _STAYED:
            bounds[found, 0], bounds[found, 1] = start, i + 1
            found += 1
            start = i
            _begin(here, time_us[i], x_m[i], y_m[i])
    if len(time_us) > 0:
        bounds[found, 0], bounds[found, 1] = start, len(time_us)
        found += 1
    return bounds[:found]


@njit(cache=True, nogil=True)
def _ending(
    stay: NDArray[np.void],
    time_us: NDArray[np.int64],
    x_m: NDArray[np.float64],
    y_m: NDArray[np.float64],
    limits: _Limits,
) -> tuple[int, int]:
    for i in range(len(time_us)):
        how = _step(stay[0], time_us[i], x_m[i], y_m[i], limits)
        if how != _ON:
            return i, how
    return len(time_us), _ON


@njit(cache=True, nogil=True)
def _begin(here: Any, time_us: int, x_m: float, y_m: float) -> None:  # noqa: ANN401 - a record of _STAY
    here.start_us, here.last_us, here.anchor_us = time_us, time_us, time_us
    here.x_m, here.y_m = x_m, y_m


@njit(cache=True, nogil=True)
def _step(here: Any, time_us: int, x_m: float, y_m: float, limits: _Limits) -> int:  # noqa: ANN401
    """What a track's next fix does to it."""
    if (time_us - here.last_us) * 1e-6 > limits.gap_s_max:
        return _GAP
    if (time_us - here.start_us) * 1e-6 > limits.track_s_max:
        return _LONG
    if not math.hypot(x_m - here.x_m, y_m - here.y_m) <= limits.stay_radius_m:
        here.anchor_us, here.x_m, here.y_m = time_us, x_m, y_m
    elif (time_us - here.anchor_us) * 1e-6 >= limits.stay_s:
        return _STAYED
    here.last_us = time_us
    return _ON


def working_states(
    reports: ReportColumns, profile: UnitProfile, rules: Rules
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Working (ON, OFF, UNKNOWN) at each report: (of the equipment told last, as the fix itself says).

    A status that was reported on its own holds until the next, `equipment_hold_s_max` at most. What a fix
    says itself comes first. The first array is what holds right after each equipment report.
    """
    needed = np.array([EQUIPMENT.index(name) for name in profile.working_when], dtype=np.int64)
    hold_us = int(rules.equipment_hold_s_max * 1e6)
    return _working_states(reports.fix_time_us, reports.kind, reports.equipment, needed, hold_us)


@njit(cache=True, nogil=True)
def _working_states(
    time_us: NDArray[np.int64],
    kind: NDArray[np.int8],
    equipment: NDArray[np.int8],
    needed: NDArray[np.int64],
    hold_us: int,
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    n = len(time_us)
    held, own = np.empty(n, dtype=np.int8), np.empty(n, dtype=np.int8)
    now = np.empty(equipment.shape[1], dtype=np.int8)
    alone, nothing = -1, np.full(equipment.shape[1], UNKNOWN, dtype=np.int8)
    for i in range(n):
        # Of a fix and a status of one instant the status is what holds then.
        j = i
        while j < n and time_us[j] == time_us[i]:
            if kind[j] == _ALONE:
                alone = j
            j += 1
        holds = alone >= 0 and time_us[i] - time_us[alone] <= hold_us
        last = equipment[alone] if holds else nothing
        held[i] = _combined(last, needed)
        for which in range(len(now)):
            now[which] = last[which] if equipment[i, which] == UNKNOWN else equipment[i, which]
        own[i] = _combined(now, needed)
    return held, own


@njit(cache=True, nogil=True)
def _combined(equipment: NDArray[np.int8], needed: NDArray[np.int64]) -> int:
    """One state of working from that of all equipment: as told, else whether all that is needed is on."""
    told = equipment[_WORKING]
    if told != UNKNOWN:
        return int(told)
    state = ON
    for which in needed:
        if equipment[which] == OFF:
            return OFF
        if equipment[which] != ON:
            state = UNKNOWN
    return state
