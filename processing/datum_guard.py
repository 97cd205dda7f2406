"""The datum guard: whether a track's fixes lie on the map only when read in another datum.

GCJ-02 and BD-09 put Yingkou some 500 m from where WGS-84 has it. Matching such fixes would give wrong
streets with great certainty, so a track that misses the map as it is, and fits it in another datum, is an
error to report and not a track to count.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.candidate import CANDIDATE, find_candidates
from processing.datum import to_wgs84, wgs84_to_bd09, wgs84_to_gcj02
from processing.geodesy import LocalProjection
from processing.network import Network

#: Fewer fixes say nothing; more than these are not looked at.
FIXES_MIN, FIXES_MAX = 20, 100
NEAR_M = 15.0
#: A track within less is one place, and there may be a road beside any one place.
EXTENT_M_MIN = 100.0
#: Shares of fixes near a line: as they are at most this, in the other datum at least that.
MISSES_MAX, FITS_MIN = 0.5, 0.8

#: What a wrong datum in a unit's profile comes to, and how its fixes are to be read.
READINGS = {
    "GCJ-02": lambda lon, lat: to_wgs84(lon, lat, "GCJ-02"),
    "BD-09": lambda lon, lat: to_wgs84(lon, lat, "BD-09"),
    "WGS-84, not GCJ-02": wgs84_to_gcj02,
    "WGS-84, not BD-09": wgs84_to_bd09,
}


def suspected_datum(
    network: Network, projection: LocalProjection, x_m: NDArray[np.float64], y_m: NDArray[np.float64]
) -> str | None:
    """The datum that fixes (n,) in plane metres seem to be in, None where they fit the map or nothing does."""
    if len(x_m) < FIXES_MIN or max(np.ptp(x_m), np.ptp(y_m)) < EXTENT_M_MIN:
        return None
    sample = _sample(len(x_m))
    if _near(network, x_m[sample], y_m[sample]).mean() > MISSES_MAX:
        return None
    lon, lat = projection.to_lonlat(x_m[sample], y_m[sample])
    for name, read in READINGS.items():
        degrees = np.array([read(a, b) for a, b in zip(lon.tolist(), lat.tolist(), strict=True)])
        if _near(network, *projection.to_xy(degrees[:, 0], degrees[:, 1])).mean() >= FITS_MIN:
            return name
    return None


class Seen:
    """Which of a track's fixes had a line nearby: whether the track misses the map, as it grows. A byte a fix."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._near = np.empty(64, dtype=np.bool_)
        self._count = 0
        self._extent = np.array([np.inf, np.inf, -np.inf, -np.inf])

    @property
    def nbytes(self) -> int:
        """What it holds."""
        return self._near.nbytes

    def add(self, x_m: NDArray[np.float64], y_m: NDArray[np.float64]) -> None:
        """The next fixes."""
        if not len(x_m):
            return
        count = self._count + len(x_m)
        if count > len(self._near):
            self._near = np.concatenate([self._near, np.empty(count, dtype=np.bool_)])
        _see(self._network, x_m, y_m, self._near[self._count : count], self._extent)
        self._count = count

    @property
    def fits(self) -> bool:
        """Whether no other datum needs to be tried."""
        west_m, south_m, east_m, north_m = self._extent.tolist()
        if self._count < FIXES_MIN or max(east_m - west_m, north_m - south_m) < EXTENT_M_MIN:
            return True
        return bool(self._near[_sample(self._count)].mean() > MISSES_MAX)


@njit(cache=True, nogil=True)
def _sample(count: int) -> NDArray[np.int64]:
    """The fixes that are looked at, evenly from the first to the last."""
    found, n = np.empty(FIXES_MAX, dtype=np.int64), 0
    for i in range(FIXES_MAX):
        fix = count - 1 if i == FIXES_MAX - 1 else int(i * ((count - 1) / (FIXES_MAX - 1)))
        if n == 0 or fix != found[n - 1]:
            found[n] = fix
            n += 1
    return found[:n]


@njit(cache=True, nogil=True)
def _near(network: Network, x_m: NDArray[np.float64], y_m: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which places (n,) have a line nearby."""
    near = np.zeros(len(x_m), dtype=np.bool_)
    _see(network, x_m, y_m, near, np.zeros(4))
    return near


@njit(cache=True, nogil=True)
def _see(
    network: Network,
    x_m: NDArray[np.float64],
    y_m: NDArray[np.float64],
    near: NDArray[np.bool_],
    extent: NDArray[np.float64],
) -> None:
    """Which places (n,) have a line nearby, and how far they all lie to the west, south, east and north."""
    nearest = np.zeros(1, dtype=CANDIDATE)
    for i in range(len(x_m)):
        near[i] = find_candidates(network, x_m[i], y_m[i], NEAR_M, nearest) > 0
        extent[0], extent[1] = min(extent[0], x_m[i]), min(extent[1], y_m[i])
        extent[2], extent[3] = max(extent[2], x_m[i]), max(extent[3], y_m[i])
