"""Cleaning frequency: the largest k for which S_k holds at least 90 % of the street, and when it did.

A street with two sides has a depth for each: passes along the measure swept the side on its right, passes
against it the other. The street's frequency is the lower one, its coverage the mean, its k-th cleaning the
later. The k-th cleaning's time is the earliest microsecond at which what was swept until then makes S_k hold
enough; what counts as the k-th sweep of a measure doesn't depend on what comes after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.coverage import ALL_DAY_US, Allowance, held
from processing.depth import BEFORE, COUNTS, LEFT_OUT, Depth, depth
from processing.district import Street
from processing.linear_reference import Reference
from processing.rules import Rules
from processing.service_day import US, day_start_us
from processing.sweep import Passes


@dataclass(frozen=True, slots=True)
class StreetDay:
    """The figures of a street, a service day and a kind of work.

    Lengths are whole millimetres; of a street with two sides the mean of both. `cleaned_us` holds the time
    of the k-th cleaning at index k - 1, so its length is `frequency`. `frequency_if_observed` is what the
    frequency would be had all metres driven with unknown equipment been swept, and `missing_mm` what the
    street's requirement lacks in all, over all its sides and cleanings; the verdict needs them.
    """

    street_id: str
    service_day: date
    work: str
    frequency: int
    frequency_certain: int
    swept_mm: int
    swept_certain_mm: int
    length_mm: int
    cleaned_us: tuple[int, ...]
    passes: int
    frequency_if_observed: int
    missing_mm: int

    @property
    def coverage(self) -> float:
        """Share of the length in S_1, 0 to 1."""
        return self.swept_mm / self.length_mm

    @property
    def coverage_certain(self) -> float:
        """The same without ambiguous passes."""
        return self.swept_certain_mm / self.length_mm


def street_day(
    street: Street,
    reference: Reference,
    service_day: date,
    work: str,
    passes: Passes,
    rules: Rules,
    window_us: tuple[int, int] | None = None,
) -> StreetDay:
    """The figures of a street, a service day and a kind of work; those of a shift with its `window_us`.

    `passes` are those of the street, of any work, that start in the day, and those of the day before that
    sweep in its last `depth_gap_s` or later; others are left out here. Passes that start before the window
    only say what was just swept; they do so for the certain figures too, ambiguous or not, so that those
    never exceed the others. A drive through, without a swept metre, is not among the number of passes.
    """
    zone = rules.day_start_s, rules.timezone
    following = service_day + timedelta(days=1)
    window_us = window_us or (day_start_us(service_day, *zone), day_start_us(following, *zone))
    asked = _Asked.of(street, reference, rules, window_us)
    figures, cleaned_us = _figures(_does(passes, work), *passes[2:], asked)
    frequency, certain, if_observed, swept_mm, certain_mm, missing_mm, swept_by = figures
    return StreetDay(
        street_id=street.street_id,
        service_day=service_day,
        work=work,
        frequency=frequency,
        frequency_certain=certain,
        swept_mm=swept_mm,
        swept_certain_mm=certain_mm,
        length_mm=reference.length_mm,
        cleaned_us=tuple(cleaned_us.tolist()),
        passes=swept_by,
        frequency_if_observed=if_observed,
        missing_mm=missing_mm,
    )


def sides_of(
    street: Street,
    reference: Reference,
    work: str,
    passes: Passes,
    rules: Rules,
    window_us: tuple[int, int],
) -> list[Depth]:
    """What `street_day` counts, for each side: of two, first the one along the measure."""
    asked = _Asked.of(street, reference, rules, window_us)
    roles = _roles(_does(passes, work), passes.enter_us, asked)
    return _sides(passes.swept, passes.swept_by, roles, passes.direction, asked)


def _does(passes: Passes, work: str) -> NDArray[np.bool_]:
    """Which passes do a kind of work."""
    does: NDArray[np.bool_] = passes.work == (passes.works.index(work) if work in passes.works else -1)
    return does


class _Asked(NamedTuple):
    """A street, a window of time, and the rules, as kernels take them."""

    length_mm: int
    closed: bool
    two_sided: bool
    start_us: int
    end_us: int
    gap_us: int
    gap_mm: int
    closed_mm_max: int
    needed_mm: int
    required: int

    @classmethod
    def of(cls, street: Street, reference: Reference, rules: Rules, window_us: tuple[int, int]) -> _Asked:
        """What is asked of a street in a window."""
        allowance = Allowance.of(rules, reference.length_mm)
        return cls(
            reference.length_mm,
            reference.closed,
            street.sides == 2 and not street.oneway,
            *window_us,
            round(rules.depth_gap_s * US),
            allowance.gap_mm,
            allowance.closed_mm_max,
            allowance.needed_mm,
            street.required,
        )


@njit(cache=True, nogil=True)
def _roles(mine: NDArray[np.bool_], enter_us: NDArray[np.int64], asked: _Asked) -> NDArray[np.int64]:
    """What each pass is to the count, by when it starts; `mine` (n,) do the work that is asked for."""
    roles = np.full(len(mine), LEFT_OUT, dtype=np.int64)
    roles[mine & (enter_us < asked.end_us)] = COUNTS
    roles[mine & (enter_us < asked.start_us)] = BEFORE
    return roles


@njit(cache=True, nogil=True)
def _figures(
    mine: NDArray[np.bool_],
    direction: NDArray[np.int64],
    enter_us: NDArray[np.int64],
    certain: NDArray[np.bool_],
    swept: NDArray[np.int64],
    swept_by: NDArray[np.int64],
    unobserved: NDArray[np.int64],
    unobserved_by: NDArray[np.int64],
    asked: _Asked,
) -> tuple[tuple[int, int, int, int, int, int, int], NDArray[np.int64]]:
    """Frequency, certain, if observed; millimetres held, certain, missing; passes; and when it was cleaned."""
    roles = _roles(mine, enter_us, asked)
    doubtful = (roles == COUNTS) & ~certain
    swept_passes, whose = 0, -1
    for p in range(len(swept)):
        if roles[swept_by[p]] == COUNTS and swept[p, 0] != swept[p, 1] and swept_by[p] != whose:
            whose = swept_by[p]
            swept_passes += 1
    full = _sides(swept, swept_by, roles, direction, asked)
    frequency, swept_mm = _frequency(full, asked), _swept_mm(full, asked)
    certain_frequency, certain_mm = frequency, swept_mm
    if doubtful.any():
        some = _sides(swept, swept_by, np.where(doubtful, LEFT_OUT, roles), direction, asked)
        certain_frequency, certain_mm = _frequency(some, asked), _swept_mm(some, asked)
    if_observed = frequency
    unknown = roles[unobserved_by] == COUNTS
    if unknown.any():
        pieces = np.concatenate((swept, unobserved[unknown]))
        whose_all = np.concatenate((swept_by, unobserved_by[unknown]))
        if_observed = _frequency(_sides(pieces, whose_all, roles, direction, asked), asked)
    cleaned_us = np.zeros(frequency, dtype=np.int64)
    missing_mm = 0
    for side in full:
        for k in range(1, asked.required + 1):
            held_mm = held(side, k, ALL_DAY_US, asked.gap_mm, asked.closed_mm_max, asked.closed)
            missing_mm += max(0, asked.needed_mm - held_mm)
        for k in range(frequency):
            cleaned_us[k] = max(cleaned_us[k], _earliest_us(side, k + 1, asked))
    found = frequency, certain_frequency, if_observed, swept_mm, certain_mm, missing_mm, swept_passes
    return found, cleaned_us


@njit(cache=True, nogil=True)
def _sides(
    pieces: NDArray[np.int64],
    whose: NDArray[np.int64],
    roles: NDArray[np.int64],
    direction: NDArray[np.int64],
    asked: _Asked,
) -> list[Depth]:
    """The depth of each side, of the one along the measure first; or of a single one, swept whichever way."""
    since_us = asked.start_us - asked.gap_us
    sides = []
    for way in (1, -1):
        own = np.where(direction == way, roles, LEFT_OUT) if asked.two_sided else roles
        sides.append(depth(pieces, whose, own, asked.length_mm, asked.gap_us, since_us, asked.closed))
        if not asked.two_sided:
            break
    return sides


@njit(cache=True, nogil=True)
def _frequency(sides: list[Depth], asked: _Asked) -> int:
    """How often all sides hold what is needed."""
    k = 0
    while True:
        for side in sides:
            held_mm = held(side, k + 1, ALL_DAY_US, asked.gap_mm, asked.closed_mm_max, asked.closed)
            if k == side.counted.shape[1] or held_mm < asked.needed_mm:
                return k
        k += 1


@njit(cache=True, nogil=True)
def _swept_mm(sides: list[Depth], asked: _Asked) -> int:
    """What S_1 holds, the mean of all sides."""
    held_mm = 0
    for side in sides:
        held_mm += held(side, 1, ALL_DAY_US, asked.gap_mm, asked.closed_mm_max, asked.closed)
    return held_mm // len(sides)


@njit(cache=True, nogil=True)
def _earliest_us(side: Depth, k: int, asked: _Asked) -> int:
    """The first microsecond by which S_k holds what is needed; it must by the end of the day.

    What was swept until a later moment contains what was swept until an earlier one, so halving finds it.
    (In the corner that coverage.py tells of there may be two such moments; it finds one of them.)
    """
    low_us, high_us = ALL_DAY_US, 0
    for sweep in side.counted[:, k - 1]:
        if sweep >= 0:
            low_us = min(low_us, side.pieces[side.sweeps[sweep, 0], 2])
            high_us = max(high_us, side.pieces[side.sweeps[sweep, 1] - 1, 3])
    while low_us < high_us:
        middle_us = (low_us + high_us) // 2
        if held(side, k, middle_us, asked.gap_mm, asked.closed_mm_max, asked.closed) >= asked.needed_mm:
            high_us = middle_us
        else:
            low_us = middle_us + 1
    return int(low_us)
