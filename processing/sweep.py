"""Passes: one unit's unbroken run along one street, and what it swept when.

Measures are whole millimetres from the start of the street, instants whole microseconds since 1970 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Piece(NamedTuple):
    """A stretch swept in one go; between its ends the moment is linear in the measure."""

    from_mm: int
    to_mm: int
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True)
class Pass:
    """One unit's unbroken run along one street.

    `direction` is 1 along the measure and -1 against it. Without a swept piece it is a drive through.
    `ambiguous_with` names the line that explains the pass about as well. Identity: (unit_id,
    track_start_us, ordinal).
    """

    unit_id: str
    track_start_us: int
    ordinal: int
    street_id: str
    work: str
    direction: int
    enter_us: int
    leave_us: int
    enter_mm: int
    leave_mm: int
    swept: tuple[Piece, ...]
    unobserved: tuple[tuple[int, int], ...] = ()
    ambiguous_with: str | None = None

    @property
    def swept_mm(self) -> int:
        """Length of the swept pieces; a pass never goes back, so they don't overlap."""
        return sum(abs(piece.to_mm - piece.from_mm) for piece in self.swept)
