"""Emission: how well a place explains a fix, as a log-likelihood.

Newson and Krumm (2009): the distance is normal with the receiver's sigma. A heading, where the unit moves
fast enough to have one, is normal too, but bounded, since receivers freeze or spin it.
"""

from __future__ import annotations

import math

from numba import njit

HEADING_LOGP_MIN = -4.5


@njit(cache=True, nogil=True)
def emission_logp(
    distance_m: float, sigma_m: float, heading_deg: float, edge_heading_deg: float, heading_sigma_deg: float
) -> float:
    """Log-likelihood up to a constant; a heading that is NaN says nothing."""
    logp = -0.5 * (distance_m / sigma_m) ** 2
    if not math.isnan(heading_deg):
        off_deg = abs((heading_deg - edge_heading_deg + 180.0) % 360.0 - 180.0)
        logp += max(HEADING_LOGP_MIN, -0.5 * (off_deg / heading_sigma_deg) ** 2)
    return logp
