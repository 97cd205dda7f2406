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
    sample = np.unique(np.linspace(0, len(x_m) - 1, FIXES_MAX).astype(np.int64))
    if _near(network, x_m[sample], y_m[sample]) > MISSES_MAX:
        return None
    lon, lat = projection.to_lonlat(x_m[sample], y_m[sample])
    for name, read in READINGS.items():
        degrees = np.array([read(a, b) for a, b in zip(lon.tolist(), lat.tolist(), strict=True)])
        if _near(network, *projection.to_xy(degrees[:, 0], degrees[:, 1])) >= FITS_MIN:
            return name
    return None


@njit(cache=True, nogil=True)
def _near(network: Network, x_m: NDArray[np.float64], y_m: NDArray[np.float64]) -> float:
    """The share of places with a line nearby."""
    nearest = np.zeros(1, dtype=CANDIDATE)
    found = 0
    for i in range(len(x_m)):
        found += find_candidates(network, x_m[i], y_m[i], NEAR_M, nearest)
    return found / len(x_m)
