"""What is said of a street and day: one of five words, in the order in which they are tried.

'No data' protects an operator from being blamed for a hole in the reports: a street that is short is only
called short where no gap was long enough for a unit to get there at its top speed, work the missing metres,
and be where it was next seen. Distances are straight lines, so the benefit of the doubt is the operator's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from processing.coverage import Allowance
from processing.district import Street
from processing.frequency import StreetDay
from processing.linear_reference import Reference
from processing.rules import Rules
from processing.service_day import US

_DEFAULTS = Rules()
_KMH_PER_M_S = 3.6


class Verdict(StrEnum):
    """What is said of a street and day."""

    SWEPT = "swept"
    AMBIGUOUS = "ambiguous"
    NO_DATA = "no data"
    PARTIAL = "partial"
    NOT_SWEPT = "not swept"


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in the shift in which an expected unit wasn't heard of.

    `from_xy` and `to_xy` are where it was last seen before and first seen after, plane metres of the
    district's projection; None where it wasn't seen in the shift, so that it may have been anywhere.
    """

    unit_id: str
    from_us: int
    to_us: int
    from_xy: tuple[float, float] | None
    to_xy: tuple[float, float] | None
    top_speed_kmh: float
    work_kmh_max: float


def verdict(
    street: Street,
    reference: Reference,
    figures: StreetDay | None,
    gaps: Sequence[Gap],
    rules: Rules = _DEFAULTS,
) -> Verdict:
    """The word for a street and day; `figures` are of the work that the street requires, None for no passes.

    `gaps` are those of the units that are expected for that work.
    """
    if (figures.frequency_certain if figures else 0) >= street.required:
        return Verdict.SWEPT
    if figures and figures.frequency >= street.required:
        return Verdict.AMBIGUOUS
    if figures and figures.frequency_if_observed >= street.required:
        return Verdict.NO_DATA
    missing_m = _missing_m(street, reference, figures, rules)
    if any(_long_enough(gap, reference, missing_m) for gap in gaps):
        return Verdict.NO_DATA
    return Verdict.PARTIAL if figures and figures.swept_mm > 0 else Verdict.NOT_SWEPT


def _missing_m(street: Street, reference: Reference, figures: StreetDay | None, rules: Rules) -> float:
    """Metres of work, on all sides, that the requirement lacks."""
    if figures is not None:
        return figures.missing_mm / 1000
    sides = 2 if street.sides == 2 and not street.oneway else 1
    return sides * street.required * Allowance.of(rules, reference.length_mm).needed_mm / 1000


def _long_enough(gap: Gap, reference: Reference, missing_m: float) -> bool:
    """Whether the unit could have reached the street, worked what is missing, and come to where it was."""
    away_m = sum(_distance_m(reference, xy) for xy in (gap.from_xy, gap.to_xy) if xy is not None)
    needed_s = _time_s(away_m, gap.top_speed_kmh) + _time_s(missing_m, gap.work_kmh_max)
    return needed_s * US <= gap.to_us - gap.from_us


def _time_s(distance_m: float, speed_kmh: float) -> float:
    if distance_m <= 0:
        return 0.0
    return distance_m * _KMH_PER_M_S / speed_kmh if speed_kmh > 0 else math.inf


def _distance_m(reference: Reference, xy: tuple[float, float]) -> float:
    """From a place to the nearest point of the street."""
    starts, steps = reference.xy[:-1], np.diff(reference.xy, axis=0)
    offsets = np.asarray(xy) - starts
    lengths2 = np.maximum((steps**2).sum(axis=1), 1e-12)
    along = np.clip((offsets * steps).sum(axis=1) / lengths2, 0.0, 1.0)
    return float(np.hypot(*(offsets - along[:, None] * steps).T).min())
