"""Emission: how well a place explains a fix, as a log-likelihood.

The distance is normal (Newson and Krumm 2009), but a receiver's errors are not independent: half a minute
long it is off to about the same side. So across the line they are taken as a Gauss-Markov process, of which
each fix tells only what is new: ten fixes 10 m off an alley say no more than a few that it isn't the alley.
A heading, where the unit moves fast enough to have one, is normal too, but bounded, since receivers freeze or
spin it.
"""

from __future__ import annotations

import math

from numba import njit

HEADING_LOGP_MIN = -4.5
#: Lines are in one direction, but for rounding, where the cosine's square is more than this.
SAME = 0.99999


@njit(cache=True, nogil=True)
def heading_logp(off_deg: float, sigma_deg: float) -> float:
    """Log-likelihood up to a constant of a heading that is off by so much; one that is NaN says nothing."""
    if math.isnan(off_deg):
        return 0.0
    return max(HEADING_LOGP_MIN, -0.5 * (off_deg / sigma_deg) ** 2)


@njit(cache=True, nogil=True)
def between_deg(one_deg: float, other_deg: float) -> float:
    """The angle between two headings in [-360, 360], 0 to 180."""
    off_deg = abs(one_deg - other_deg)
    if off_deg > 360.0:
        off_deg -= 360.0
    return 360.0 - off_deg if off_deg > 180.0 else off_deg


@njit(cache=True, nogil=True)
def beyond_logp(beyond_m: float, sigma_m: float) -> float:
    """Log-likelihood of a fix that lies beyond an end of the line, or outside a bend, by its own sigma."""
    return -0.5 * (beyond_m / sigma_m) ** 2


@njit(cache=True, nogil=True)
def offset_logp(
    offset_m: float, before_m: float, kept: float, kept_max: float, sigma_m: float, white_m: float
) -> float:
    """Log-likelihood of an offset across the line, when the one before was `before_m`.

    `kept_max` is the correlation of the two; `kept` is that times the cosine of the angle between the lines,
    since across a corner nothing is kept. `white_m` is what is new each time, however soon. The constant is
    that of lines in one direction, so that no value is above 0.
    """
    white = white_m * white_m
    least = sigma_m * sigma_m * (1.0 - kept_max * kept_max) + white
    new_m = offset_m - kept * before_m
    if kept * kept >= SAME * kept_max * kept_max:
        return -0.5 * new_m * new_m / least
    variance = sigma_m * sigma_m * (1.0 - kept * kept) + white
    return -0.5 * (new_m * new_m / variance + math.log(variance / least))
