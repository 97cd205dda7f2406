"""Cleaning frequency: the largest k for which S_k holds at least 90 % of the street, and when it did.

A street with two sides has a depth for each: passes along the measure swept the side on its right, passes
against it the other. The street's frequency is the lower one, its coverage the mean, its k-th cleaning the
later. The k-th cleaning's time is the earliest microsecond at which what was swept until then makes S_k hold
enough; what counts as the k-th sweep of a measure doesn't depend on what comes after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.coverage import Allowance, held, held_mm
from processing.depth import Depth, Pieces, depth, swept_pieces, unobserved_pieces
from processing.district import Street
from processing.linear_reference import Reference
from processing.rules import Rules
from processing.service_day import US, day_start_us
from processing.sweep import Pass


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
    passes: Iterable[Pass],
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
    start_us, end_us = window_us or (day_start_us(service_day, *zone), day_start_us(following, *zone))
    counter = _counter(street, reference, start_us, rules)
    mine = [one for one in passes if one.street_id == street.street_id and one.work == work]
    today = [one for one in mine if start_us <= one.enter_us < end_us]
    before = [one for one in mine if one.enter_us < start_us]
    certain = [one for one in today if one.ambiguous_with is None]
    full = counter.count(today, before)
    sure = full if len(certain) == len(today) else counter.count(certain, before)
    unknown = any(one.unobserved for one in today)
    observed = counter.count(today, before, as_if_observed=True) if unknown else full
    return StreetDay(
        street_id=street.street_id,
        service_day=service_day,
        work=work,
        frequency=full.frequency,
        frequency_certain=sure.frequency,
        swept_mm=full.swept_mm,
        swept_certain_mm=sure.swept_mm,
        length_mm=reference.length_mm,
        cleaned_us=counter.cleaned_us(full),
        passes=sum(one.swept_mm > 0 for one in today),
        frequency_if_observed=observed.frequency,
        missing_mm=counter.missing_mm(full, street.required),
    )


class _Count(NamedTuple):
    sides: tuple[Depth, ...]
    frequency: int
    swept_mm: int


@dataclass(frozen=True, slots=True)
class _Counter:
    """Counts sets of passes on one street and day."""

    directions: tuple[int, ...]  # one for each side; 0 is a single side, whichever way
    length_mm: int
    closed: bool
    start_us: int
    gap_us: int
    allowance: Allowance

    def count(self, today: Sequence[Pass], before: Sequence[Pass], *, as_if_observed: bool = False) -> _Count:
        sides = tuple(self._side(today, before, way, as_if_observed) for way in self.directions)
        swept_mm = sum(held_mm(side, 1, self.allowance, closed=self.closed) for side in sides)
        frequency = min(self._frequency(side) for side in sides)
        return _Count(sides, frequency, swept_mm // len(sides))

    def _side(
        self,
        today: Sequence[Pass],
        before: Sequence[Pass],
        way: int,
        as_if_observed: bool,  # noqa: FBT001 - private
    ) -> Depth:
        today = [one for one in today if way in (0, one.direction)]
        before = [one for one in before if way in (0, one.direction)]
        pieces: Pieces = swept_pieces(today)
        if as_if_observed:
            pieces = np.concatenate([pieces, unobserved_pieces(today)])
        since_us = self.start_us - self.gap_us
        just = swept_pieces(before)
        return depth(pieces, just, self.length_mm, self.gap_us, since_us, closed=self.closed)

    def _frequency(self, side: Depth) -> int:
        k = 0
        while (
            k < side.counted.shape[1]
            and held_mm(side, k + 1, self.allowance, closed=self.closed) >= self.allowance.needed_mm
        ):
            k += 1
        return k

    def missing_mm(self, count: _Count, required: int) -> int:
        """Millimetres of work that lack to the required number of cleanings, on all sides."""
        needed_mm = self.allowance.needed_mm
        return sum(
            max(0, needed_mm - held_mm(side, k, self.allowance, closed=self.closed))
            for side in count.sides
            for k in range(1, required + 1)
        )

    def cleaned_us(self, count: _Count) -> tuple[int, ...]:
        """When the 1st, 2nd ... cleaning was done, the later of both sides."""
        return tuple(
            max(self._kth_us(side, k) for side in count.sides) for k in range(1, count.frequency + 1)
        )

    def _kth_us(self, side: Depth, k: int) -> int:
        kth = np.ascontiguousarray(side.counted[:, k - 1])
        limits = (self.allowance.needed_mm, self.allowance.gap_mm, self.allowance.closed_mm_max)
        return int(_earliest_us(side.cuts_mm, side.pieces, kth, *limits, self.closed))


def _counter(street: Street, reference: Reference, start_us: int, rules: Rules) -> _Counter:
    two_sided = street.sides == 2 and not street.oneway
    return _Counter(
        directions=(1, -1) if two_sided else (0,),
        length_mm=reference.length_mm,
        closed=reference.closed,
        start_us=start_us,
        gap_us=round(rules.depth_gap_s * US),
        allowance=Allowance.of(rules, reference.length_mm),
    )


@njit(cache=True, nogil=True)
def _earliest_us(
    cuts: NDArray[np.int64],
    pieces: NDArray[np.int64],
    kth: NDArray[np.int32],
    needed_mm: int,
    gap_mm: int,
    closed_mm_max: int,
    closed: bool,  # noqa: FBT001 - a kernel takes positions only
) -> int:
    """The first microsecond by which S_k holds what is needed; it must by the end of the day.

    What was swept until a later moment contains what was swept until an earlier one, so halving finds it.
    (In the corner that coverage.py tells of there may be two such moments; it finds one of them.)
    """
    low_us, high_us = int(np.min(pieces[:, 2])), int(np.max(pieces[:, 3]))
    while low_us < high_us:
        middle_us = (low_us + high_us) // 2
        if held(cuts, pieces, kth, middle_us, gap_mm, closed_mm_max, closed) >= needed_mm:
            high_us = middle_us
        else:
            low_us = middle_us + 1
    return int(low_us)
