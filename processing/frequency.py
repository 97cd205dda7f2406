"""Cleaning frequency: the largest k for which S_k holds at least 90 % of the street, and when it did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class StreetDay:
    """The figures of a street, a service day and a kind of work.

    Lengths are whole millimetres; of a street with two sides the mean of both. `cleaned_us` holds the time
    of the k-th cleaning at index k - 1, so its length is `frequency`. `frequency_if_observed` is what the
    frequency would be had all metres driven with unknown equipment been swept; the verdict needs it.
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

    @property
    def coverage(self) -> float:
        """Share of the length in S_1, 0 to 1."""
        return self.swept_mm / self.length_mm

    @property
    def coverage_certain(self) -> float:
        """The same without ambiguous passes."""
        return self.swept_certain_mm / self.length_mm
