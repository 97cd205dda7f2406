"""Working along the path: what the unit did on each metre, between every two of its fixes.

The path's metres between two matched steps are shared out to the fixes between by what they say was driven
(else by time). Between two fixes the speed is the mean of what they report, or where neither does that of
the last 10 s of path; it must be that of the work. Where both work all is swept, where neither does nothing
is; where they disagree the change lies where a report of its own says, else where the path leaves or enters
the street of the fix that works, else at a dead end's tip, else half way.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.fix import OFF, ON
from processing.join import Legs, Path
from processing.network import Network

#: Seconds of path that tell the speed of fixes that don't.
SPEED_WINDOW_S = 10.0
#: Places of fixes that tell no speed are smoothed over this to both sides.
SMOOTH_S = 15.0

#: What a unit did: nothing that counts, or swept, or nobody knows.
IDLE, SWEPT, UNOBSERVED = 0, 1, 2


class Fixes(NamedTuple):
    """All fixes (n,) of a track and the status reports (c,) of its equipment alone."""

    time_us: NDArray[np.int64]
    speed_kmh: NDArray[np.float64]
    working: NDArray[np.int8]
    change_us: NDArray[np.int64]
    change_state: NDArray[np.int8]


class Band(NamedTuple):
    """The speeds at which a unit works: more than the first, at most the second."""

    kmh_min: float
    kmh_max: float


class Doings(NamedTuple):
    """Stretches (d,) of the path in order; the moment is linear in the metre between their ends."""

    from_m: NDArray[np.float64]
    to_m: NDArray[np.float64]
    from_us: NDArray[np.int64]
    to_us: NDArray[np.int64]
    what: NDArray[np.int64]


@njit(cache=True, nogil=True)
def place_fixes(
    fixes: Fixes,
    steps: NDArray[np.int64],
    path: Path,
    smooth: bool,  # noqa: FBT001 - a kernel takes no keywords
) -> NDArray[np.float64]:
    """The metre of the path (n,) at which each fix lies; NaN off the network's ends and in holes.

    `smooth` says that no fix of the track tells its speed.
    """
    at_m = np.full(len(fixes.time_us), np.nan)
    a = -1
    for b in range(len(steps)):
        if math.isnan(path.at_m[b]):
            continue
        if a >= 0 and path.hole[a] == path.hole[b]:
            _share_out(fixes, steps[a], steps[b], path.at_m[a], path.at_m[b], at_m)
        at_m[steps[b]] = path.at_m[b]
        a = b
    return _smoothed(fixes, at_m) if smooth else at_m


@njit(cache=True, nogil=True)
def _smoothed(fixes: Fixes, at_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each place as the mean of those around it, as many before as after it.

    Without told speeds the places alone say how fast the unit was, and their noise reads as leaps and
    stops. A mean over both sides leaves even motion as it is, and the order of places too.
    """
    out = at_m.copy()
    for k in range(len(at_m)):
        n, total = 1, at_m[k]
        while (
            k - n >= 0
            and k + n < len(at_m)
            and not math.isnan(at_m[k - n] + at_m[k + n])
            and (fixes.time_us[k + n] - fixes.time_us[k - n]) * 1e-6 <= 2.0 * SMOOTH_S
        ):
            total += at_m[k - n] + at_m[k + n]
            n += 1
        out[k] = total / (2 * n - 1)
        if k > 0 and out[k] < out[k - 1]:
            out[k] = out[k - 1]  # at the ends of a stretch the means are of fewer
    return out


@njit(cache=True, nogil=True)
def _share_out(
    fixes: Fixes, low: int, high: int, from_m: float, to_m: float, at_m: NDArray[np.float64]
) -> None:
    """Place the fixes between two that are placed, by what they say was driven, else by time."""
    total = 0.0
    for k in range(low, high):
        total += _driven(fixes, k)
    by_time = math.isnan(total) or total <= 0.0
    if by_time:
        total = float(fixes.time_us[high] - fixes.time_us[low])
    gone = 0.0
    for k in range(low, high - 1):
        gone += float(fixes.time_us[k + 1] - fixes.time_us[k]) if by_time else _driven(fixes, k)
        # Rounding must not put it beyond: places are searched in order.
        at_m[k + 1] = min(to_m, from_m + (to_m - from_m) * gone / total)


@njit(cache=True, nogil=True)
def _driven(fixes: Fixes, k: int) -> float:
    return float((fixes.speed_kmh[k] + fixes.speed_kmh[k + 1]) * (fixes.time_us[k + 1] - fixes.time_us[k]))


@njit(cache=True, nogil=True)
def _speed_kmh(fixes: Fixes, at_m: NDArray[np.float64], hole: NDArray[np.int64], k: int) -> float:
    """The speed between fix k and the next: as they report, else over the last 10 s of path."""
    a, b = fixes.speed_kmh[k], fixes.speed_kmh[k + 1]
    if not math.isnan(a) and not math.isnan(b):
        return float(0.5 * (a + b))
    if not math.isnan(a) or not math.isnan(b):
        return float(b if math.isnan(a) else a)
    first = k
    while (
        first > 0
        and (fixes.time_us[k + 1] - fixes.time_us[first]) * 1e-6 < SPEED_WINDOW_S
        and hole[first - 1] == hole[k + 1]
        and not math.isnan(at_m[first - 1])
    ):
        first -= 1
    return float(3.6e6 * (at_m[k + 1] - at_m[first]) / (fixes.time_us[k + 1] - fixes.time_us[first]))


@njit(cache=True, nogil=True)
def _change_m(
    network: Network,
    legs: Legs,
    first: int,
    after: int,
    line_a: int,
    line_b: int,
    a_works: bool,  # noqa: FBT001 - a kernel takes no keywords
    b_works: bool,  # noqa: FBT001
) -> float:
    """The metre of the path at which a join's legs [first, after) say that the work changed; NaN: nowhere."""
    leaves, enters, tip = np.nan, np.nan, np.nan
    for i in range(first, after):
        edge, end_m = legs.edge[i], legs.path_m[i] + abs(legs.to_m[i] - legs.from_m[i])
        if network.edges[edge].line != line_a and math.isnan(leaves):
            leaves = legs.path_m[i]
        if network.edges[edge].line != line_b:
            enters = end_m
        if i > first and edge == legs.edge[i - 1] and legs.direction[i] != legs.direction[i - 1]:
            backwards = legs.direction[i] == 1
            degree = network.edges[edge].head_degree if backwards else network.edges[edge].tail_degree
            tip_m = network.edges[edge].to_m if backwards else network.edges[edge].from_m
            if degree == 1 and abs(legs.from_m[i] - tip_m) < 1e-6:
                tip = legs.path_m[i]
    if a_works and not math.isnan(leaves):
        return float(leaves)
    if b_works and not math.isnan(enters):
        return float(enters)
    if a_works and line_a != line_b:
        return float(legs.path_m[after - 1] + abs(legs.to_m[after - 1] - legs.from_m[after - 1]))
    if b_works and line_a != line_b:
        return float(legs.path_m[first])
    return float(tip)


@njit(cache=True, nogil=True)
def _add(doings: Doings, n: int, from_m: float, to_m: float, from_us: int, to_us: int, what: int) -> int:
    if to_m <= from_m or what == IDLE:
        return n
    doings.from_m[n], doings.to_m[n] = from_m, to_m
    doings.from_us[n], doings.to_us[n], doings.what[n] = from_us, to_us, what
    return n + 1


@njit(cache=True, nogil=True)
def _what(state: int) -> int:
    if state == ON:
        return SWEPT
    return IDLE if state == OFF else UNOBSERVED


@njit(cache=True, nogil=True)
def _between(
    fixes: Fixes, at_m: NDArray[np.float64], k: int, low: int, legs_m: float, doings: Doings, n: int
) -> int:
    """What the unit did between fix k and the next; changes reported on their own begin at `low`."""
    from_us, to_us, from_m, to_m = fixes.time_us[k], fixes.time_us[k + 1], at_m[k], at_m[k + 1]
    now, after = int(fixes.working[k]), int(fixes.working[k + 1])
    begun_m, begun_us, reported = from_m, from_us, False
    while low < len(fixes.change_us) and fixes.change_us[low] <= to_us:
        if fixes.change_state[low] != now:
            change_us = fixes.change_us[low]
            change_m = from_m + (to_m - from_m) * (change_us - from_us) / (to_us - from_us)
            n = _add(doings, n, begun_m, change_m, begun_us, change_us, _what(now))
            begun_m, begun_us, now, reported = change_m, change_us, int(fixes.change_state[low]), True
        low += 1
    if now != after:
        change_m = 0.5 * (begun_m + to_m)
        if not reported and from_m <= legs_m <= to_m:
            change_m = legs_m
        share = (change_m - from_m) / (to_m - from_m) if to_m > from_m else 0.5
        change_us = int(from_us + round(share * (to_us - from_us)))
        n = _add(doings, n, begun_m, change_m, begun_us, change_us, _what(now))
        begun_m, begun_us = change_m, change_us
    return _add(doings, n, begun_m, to_m, begun_us, to_us, _what(after))


@njit(cache=True, nogil=True)
def _all(
    network: Network,
    legs: Legs,
    path: Path,
    fixes: Fixes,
    steps: NDArray[np.int64],
    step_line: NDArray[np.int64],
    at_m: NDArray[np.float64],
    band: Band,
    doings: Doings,
) -> int:
    """Write the doings between all fixes; how many there are."""
    hole = np.full(len(fixes.time_us), -1, dtype=np.int64)
    for i in range(len(steps)):
        last = steps[i + 1] if i + 1 < len(steps) else len(hole)
        hole[steps[i] : last] = path.hole[i]
    n, low, first, a = 0, 0, 0, -1
    for b in range(len(steps)):
        if math.isnan(path.at_m[b]):
            continue
        while first < len(legs.edge) and legs.step_b[first] < b:
            first += 1
        if a >= 0 and path.hole[a] == path.hole[b]:
            after = first
            while after < len(legs.edge) and legs.step_b[after] == b:
                after += 1
            for k in range(steps[a], steps[b]):
                while low < len(fixes.change_us) and fixes.change_us[low] <= fixes.time_us[k]:
                    low += 1
                speed_kmh = _speed_kmh(fixes, at_m, hole, k)
                if at_m[k + 1] <= at_m[k] or not band.kmh_min < speed_kmh <= band.kmh_max:
                    continue
                legs_m = np.nan
                if fixes.working[k] != fixes.working[k + 1] and after > first:
                    works = fixes.working[k] == ON, fixes.working[k + 1] == ON
                    lines = step_line[a], step_line[b]
                    legs_m = _change_m(network, legs, first, after, lines[0], lines[1], works[0], works[1])
                n = _between(fixes, at_m, k, low, legs_m, doings, n)
        a = b
    return n


@njit(cache=True, nogil=True)
def doings_of(
    network: Network,
    legs: Legs,
    path: Path,
    fixes: Fixes,
    steps: NDArray[np.int64],
    step_line: NDArray[np.int64],
    band: Band,
    smooth: bool,  # noqa: FBT001 - a kernel takes no keywords
) -> tuple[Doings, NDArray[np.float64]]:
    """What the unit did along its path, and the metre of the path (n,) of each fix."""
    at_m = place_fixes(fixes, steps, path, smooth)
    # Each pair of fixes makes at most two, and each report of the equipment one more.
    rows = 2 * len(fixes.time_us) + len(fixes.change_us) + 2
    doings = Doings(
        np.empty(rows),
        np.empty(rows),
        np.empty(rows, dtype=np.int64),
        np.empty(rows, dtype=np.int64),
        np.empty(rows, dtype=np.int64),
    )
    n = _all(network, legs, path, fixes, steps, step_line, at_m, band, doings)
    found = Doings(doings.from_m[:n], doings.to_m[:n], doings.from_us[:n], doings.to_us[:n], doings.what[:n])
    return found, at_m
